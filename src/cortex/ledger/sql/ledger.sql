-- name: tail
SELECT idx, hash, time_us FROM entries ORDER BY idx DESC LIMIT 1

-- name: find_id
SELECT idx, hash, time_us, tenant FROM entries WHERE id = ?

-- name: insert_leaf
INSERT INTO leaves (idx, body) VALUES (?, ?)

-- name: insert_entry
INSERT INTO entries (idx, hash, time_us, id, tenant, kind, run_id, correlation_id,
                     agent, outcome, latency_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_blob
INSERT OR IGNORE INTO blobs (idx, sha256, body) VALUES (?, ?, ?)

-- name: blobs_of
SELECT sha256, body FROM blobs WHERE idx = ?

-- name: blobs_between
SELECT idx, sha256, body FROM blobs WHERE idx >= ? AND idx < ? ORDER BY idx, sha256

-- name: leaves_between
SELECT idx, body FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx

-- name: leaves_from
SELECT idx, body FROM leaves WHERE idx >= ? ORDER BY idx LIMIT ?

-- name: first_leaf
SELECT idx FROM leaves ORDER BY idx LIMIT 1

-- name: last_leaf
SELECT idx FROM leaves ORDER BY idx DESC LIMIT 1

-- name: leaf_bytes_between
SELECT count(*), coalesce(sum(length(body)), 0) FROM leaves WHERE idx >= ? AND idx < ?

-- name: delete_leaves
DELETE FROM leaves WHERE idx >= ? AND idx < ?

-- name: delete_blobs
DELETE FROM blobs WHERE idx >= ? AND idx < ?

-- name: entry_at
SELECT idx, hash, time_us, id, tenant, kind FROM entries WHERE idx = ?

-- name: first_at_or_after
SELECT idx, time_us FROM entries WHERE idx >= ? ORDER BY idx LIMIT 1

-- name: newest_head
SELECT size, root, note, signed_us FROM heads ORDER BY size DESC LIMIT 1

-- name: head_root
SELECT root FROM heads WHERE size = ?

-- name: head_at
SELECT size, root, note, signed_us FROM heads WHERE size = ?

-- name: all_heads
SELECT size, note FROM heads ORDER BY size

-- name: insert_head
INSERT INTO heads (size, root, note, signed_us) VALUES (?, ?, ?, ?)

-- name: update_head_note
UPDATE heads SET note = ? WHERE size = ? AND root = ?

-- name: thin_heads
DELETE FROM heads WHERE signed_us < ? AND size % ? <> 0
    AND size < (SELECT max(size) FROM heads)
    AND size <> coalesce((SELECT value FROM marks WHERE name = 'cosigned'), -1)

-- name: find_subject
SELECT slot FROM subjects WHERE tenant = ? AND name = ?

-- name: next_slot
SELECT coalesce(max(slot) + 1, 0) FROM subjects

-- name: insert_subject
INSERT INTO subjects (slot, tenant, name) VALUES (?, ?, ?)

-- name: forget_subject
UPDATE subjects SET tenant = NULL, name = NULL, forgotten_us = ? WHERE slot = ?

-- name: undestroyed_slots
SELECT slot FROM subjects WHERE forgotten_us IS NOT NULL AND destroyed = 0

-- name: mark_destroyed
UPDATE subjects SET destroyed = 1 WHERE slot = ?

-- name: mark
SELECT value FROM marks WHERE name = ?

-- name: set_mark
INSERT INTO marks (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: search_run
SELECT idx, hash, time_us FROM entries
WHERE tenant = :tenant AND run_id = :run_id AND idx >= :low AND idx < :high
    AND (:correlation_id = '' OR correlation_id = :correlation_id)
    AND (:agent = '' OR agent = :agent)
    AND (:kind = '' OR kind = :kind)
    AND (:outcome = '' OR outcome = :outcome)
ORDER BY idx DESC LIMIT :limit

-- name: search_correlation
SELECT idx, hash, time_us FROM entries
WHERE tenant = :tenant AND correlation_id = :correlation_id
    AND idx >= :low AND idx < :high
    AND (:agent = '' OR agent = :agent)
    AND (:kind = '' OR kind = :kind)
    AND (:outcome = '' OR outcome = :outcome)
ORDER BY idx DESC LIMIT :limit

-- name: search_agent
SELECT idx, hash, time_us FROM entries
WHERE tenant = :tenant AND agent = :agent AND idx >= :low AND idx < :high
    AND (:kind = '' OR kind = :kind)
    AND (:outcome = '' OR outcome = :outcome)
ORDER BY idx DESC LIMIT :limit

-- name: search_outcome
SELECT idx, hash, time_us FROM entries
WHERE tenant = :tenant AND outcome = :outcome AND idx >= :low AND idx < :high
    AND (:kind = '' OR kind = :kind)
ORDER BY idx DESC LIMIT :limit

-- name: search_kind
SELECT idx, hash, time_us FROM entries
WHERE tenant = :tenant AND kind = :kind AND idx >= :low AND idx < :high
ORDER BY idx DESC LIMIT :limit

-- name: search_all
SELECT idx, hash, time_us FROM entries
WHERE tenant = :tenant AND idx >= :low AND idx < :high
ORDER BY idx DESC LIMIT :limit

-- name: stats_between
SELECT tenant, kind = 'agent.call', coalesce(agent, ''), count(*),
       coalesce(sum(outcome = 'failed'), 0), count(latency_ms),
       coalesce(sum(latency_ms), 0.0)
FROM entries WHERE idx >= ? AND idx < ?
GROUP BY 1, 2, 3

-- name: indexed_between
SELECT idx, hash, id, tenant, kind, coalesce(correlation_id, ''),
       coalesce(run_id, ''), coalesce(agent, ''), coalesce(outcome, '')
FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx
