-- name: by_tier
SELECT tier, sum(items), sum(bytes) FROM memory_counts GROUP BY tier
