-- name: all_series
SELECT id, name, labels, kind, born FROM series

-- name: series_of
SELECT id, name, labels, kind, born FROM series WHERE name = :name

-- name: insert_series
INSERT INTO series (name, labels, kind, born)
VALUES (:name, :labels, :kind, :born) RETURNING id

-- name: catalog
SELECT name, min(kind), count(*) FROM series GROUP BY name ORDER BY name

-- name: read_counters
SELECT at, run, exposed, totals FROM counters

-- name: write_counters
INSERT INTO counters (only_row, at, run, exposed, totals)
VALUES (1, :at, :run, :exposed, :totals)
ON CONFLICT (only_row) DO UPDATE SET
    at = excluded.at, run = excluded.run,
    exposed = excluded.exposed, totals = excluded.totals

-- name: insert_instant
INSERT OR REPLACE INTO instants (tier, at, vector) VALUES (:tier, :at, :vector)

-- name: last_instant
SELECT max(at) FROM instants WHERE tier = :tier

-- name: first_after
SELECT min(at) FROM instants WHERE tier = :tier AND at > :at

-- name: vectors
SELECT at, vector FROM instants
WHERE tier = :tier AND at >= :start AND at <= :end ORDER BY at

-- name: prune
DELETE FROM instants WHERE tier = :tier AND at < :before

-- name: tier_bytes
SELECT coalesce(sum(length(vector)), 0), count(*), min(at), max(at)
FROM instants WHERE tier = :tier

-- name: last_until
SELECT max(at) FROM instants WHERE tier = :tier AND at <= :at

-- name: forget_from
DELETE FROM instants WHERE at >= :at
