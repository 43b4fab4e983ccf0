-- name: append
INSERT INTO outbox_events (id, type, tenant, time, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: read_after
SELECT position, id, type, tenant, body FROM outbox_events
WHERE position > ? ORDER BY position LIMIT ?;

-- name: read_before
SELECT position, id, type, tenant, body FROM outbox_events
WHERE tenant = :tenant
    AND (:types = '[]' OR type IN (SELECT value FROM json_each(:types)))
    AND (:since IS NULL OR time >= :since) AND (:until IS NULL OR time <= :until)
    AND (:subject IS NULL
        OR json_extract(CAST(body AS TEXT), '$.subject') = :subject)
    AND (:before IS NULL OR position < :before)
ORDER BY position DESC LIMIT :limit;

-- name: position_of
SELECT position FROM outbox_events WHERE id = ?;

-- name: last_position
SELECT coalesce(max(position), 0) FROM outbox_events;

-- name: cursor
SELECT position FROM outbox_cursors WHERE subscriber = ?;

-- name: advance_cursor
INSERT INTO outbox_cursors (subscriber, position) VALUES (?, ?)
ON CONFLICT (subscriber) DO UPDATE SET position = max(position, excluded.position);

-- name: bury
INSERT INTO outbox_dead_letters
    (subscriber, event_id, type, body, error, tries, failed_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (subscriber, event_id) DO UPDATE
    SET error = excluded.error, tries = tries + excluded.tries,
        failed_at = excluded.failed_at;

-- name: bury_again
UPDATE outbox_dead_letters SET error = ?, tries = tries + ?, failed_at = ?
WHERE subscriber = ? AND event_id = ?;

-- name: dead_letters
SELECT subscriber, event_id, type, body, error, tries, failed_at
FROM outbox_dead_letters
WHERE (:tenant IS NULL OR json_extract(CAST(body AS TEXT), '$.tenant') = :tenant)
    AND (:subscriber IS NULL OR subscriber = :subscriber)
    AND (:event_id IS NULL OR event_id = :event_id)
ORDER BY failed_at, event_id, subscriber LIMIT :limit;

-- name: dead_letter
SELECT subscriber, event_id, type, body, error, tries, failed_at
FROM outbox_dead_letters WHERE subscriber = ? AND event_id = ?;

-- name: exhume
DELETE FROM outbox_dead_letters WHERE subscriber = ? AND event_id = ?;

-- name: prune
DELETE FROM outbox_events WHERE position IN (
    SELECT position FROM outbox_events
    WHERE position <= :delivered AND (position <= :oldest_kept OR time < :before)
    ORDER BY position LIMIT :limit
);
