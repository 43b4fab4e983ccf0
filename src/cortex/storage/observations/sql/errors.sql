-- name: add
INSERT INTO errors (fingerprint, type, code, place, route, message, frames, count,
    first_seen, last_seen, last_trace_id, last_correlation_id)
VALUES (:fingerprint, :type, :code, :place, :route, :message, :frames, :count,
    :first_seen, :last_seen, :last_trace_id, :last_correlation_id)
ON CONFLICT (fingerprint) DO UPDATE SET
    count = count + excluded.count,
    route = excluded.route,
    message = excluded.message,
    frames = excluded.frames,
    last_seen = max(last_seen, excluded.last_seen),
    last_trace_id = excluded.last_trace_id,
    last_correlation_id = excluded.last_correlation_id

-- name: prune
DELETE FROM errors WHERE fingerprint NOT IN (
    SELECT fingerprint FROM errors ORDER BY last_seen DESC LIMIT :kept)

-- name: page
SELECT fingerprint, type, code, place, route, message, frames, count, first_seen,
    last_seen, last_trace_id, last_correlation_id
FROM errors WHERE last_seen >= :since ORDER BY last_seen DESC, fingerprint LIMIT :limit
