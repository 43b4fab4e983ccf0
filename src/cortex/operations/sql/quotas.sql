-- name: add_usage
INSERT INTO quota_usage (day, tenant, measure, used)
VALUES (:day, :tenant, :measure, :used)
ON CONFLICT (day, tenant, measure) DO UPDATE SET used = used + excluded.used;

-- name: usage
SELECT tenant, measure, used FROM quota_usage WHERE day = :day;

-- name: forget_usage
DELETE FROM quota_usage WHERE day < :day;
