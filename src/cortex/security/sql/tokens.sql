-- name: insert
INSERT INTO security_tokens (
    id, digest, name, tenant, scopes, namespaces, created_at, created_by, expires_at,
    ephemeral
) VALUES (
    :id, :digest, :name, :tenant, :scopes, :namespaces, :created_at, :created_by,
    :expires_at, :ephemeral
);

-- name: by_digest
SELECT
    id, name, tenant, scopes, namespaces, created_at, created_by, expires_at,
    revoked_at, revoked_by, replaced_by, ephemeral
FROM security_tokens
WHERE digest = ?;

-- name: by_id
SELECT
    id, name, tenant, scopes, namespaces, created_at, created_by, expires_at,
    revoked_at, revoked_by, replaced_by, ephemeral
FROM security_tokens
WHERE tenant = ? AND id = ?;

-- name: list
SELECT
    id, name, tenant, scopes, namespaces, created_at, created_by, expires_at,
    revoked_at, revoked_by, replaced_by, ephemeral
FROM security_tokens
WHERE
    tenant = :tenant
    AND id > :after
    AND (
        :dead
        OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now))
    )
ORDER BY id
LIMIT :limit;

-- name: live_of_name
SELECT count(*) FROM security_tokens
WHERE
    tenant = :tenant AND name = :name
    AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now);

-- name: live_of_tenant
SELECT count(*) FROM security_tokens
WHERE
    tenant = :tenant
    AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now);

-- name: retire
UPDATE security_tokens
SET
    replaced_by = :replaced_by,
    expires_at = min(coalesce(expires_at, :expires_at), :expires_at)
WHERE tenant = :tenant AND id = :id;

-- name: revoke_with_offspring
WITH RECURSIVE doomed (id, name) AS (
    SELECT id, name FROM security_tokens WHERE tenant = :tenant AND id = :id
    UNION
    SELECT made.id, made.name
    FROM security_tokens AS made
    INNER JOIN doomed ON made.created_by = doomed.name
    WHERE made.tenant = :tenant
)
UPDATE security_tokens
SET revoked_at = :now, revoked_by = :by
WHERE revoked_at IS NULL AND id IN (SELECT id FROM doomed)
RETURNING id;

-- name: purge
DELETE FROM security_tokens
WHERE coalesce(revoked_at, expires_at) < ?;

-- name: changed
UPDATE security_token_changes SET version = version + 1;

-- name: version
SELECT version FROM security_token_changes;
