-- name: insert
INSERT INTO traces (trace_id, start, spans, body)
VALUES (:trace_id, :start, :spans, :body)

-- name: prune
DELETE FROM traces WHERE id <= (SELECT max(id) FROM traces) - :kept OR start < :before

-- name: between
SELECT body FROM traces WHERE start >= :start AND start <= :end
ORDER BY start DESC LIMIT :limit

-- name: of_id
SELECT body FROM traces WHERE trace_id = :trace_id ORDER BY start
