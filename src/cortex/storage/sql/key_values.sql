-- name: get
SELECT value, etag, expires_at FROM key_values
WHERE tenant = :tenant AND namespace = :namespace AND key = :key
    AND (expires_at IS NULL OR expires_at > :now);

-- name: put
INSERT INTO key_values (tenant, namespace, key, etag, expires_at, used, value)
VALUES (
    :tenant, :namespace, :key, :etag, :expires_at,
    (SELECT coalesce(max(used), 0) + 1 FROM key_values
     WHERE tenant = :tenant AND namespace = :namespace),
    :value
)
ON CONFLICT (tenant, namespace, key) DO UPDATE SET
    etag = excluded.etag, expires_at = excluded.expires_at,
    used = excluded.used, value = excluded.value;

-- name: touch
UPDATE key_values SET used = (
    SELECT max(used) + 1 FROM key_values
    WHERE tenant = :tenant AND namespace = :namespace
)
WHERE tenant = :tenant AND namespace = :namespace AND key = :key;

-- name: delete
DELETE FROM key_values
WHERE tenant = :tenant AND namespace = :namespace AND key = :key;

-- name: clear
DELETE FROM key_values WHERE tenant = :tenant AND namespace = :namespace;

-- name: scan
SELECT key, value, etag, expires_at FROM key_values
WHERE tenant = :tenant AND namespace = :namespace
    AND key > :after AND key >= :first AND (:end IS NULL OR key < :end)
    AND (expires_at IS NULL OR expires_at > :now)
ORDER BY key LIMIT :limit;

-- name: sweep
DELETE FROM key_values WHERE rowid IN (
    SELECT rowid FROM key_values
    WHERE expires_at IS NOT NULL AND expires_at <= :now LIMIT :limit
);

-- name: evict
DELETE FROM key_values WHERE rowid IN (
    SELECT rowid FROM key_values
    WHERE tenant = :tenant AND namespace = :namespace
    ORDER BY used DESC LIMIT -1 OFFSET :kept
);

-- name: values_after
SELECT rowid, tenant, namespace, key, value FROM key_values
WHERE rowid > ? ORDER BY rowid LIMIT ?;

-- name: replace_value
UPDATE key_values SET value = ? WHERE rowid = ?;
