-- name: current
SELECT id, tenant, purpose, master_id, wrapped FROM security_data_keys
WHERE tenant = ? AND purpose = ? AND current = 1;

-- name: by_id
SELECT id, tenant, purpose, master_id, wrapped FROM security_data_keys
WHERE tenant = ? AND id = ?;

-- name: insert
INSERT INTO security_data_keys (
    id, tenant, purpose, master_id, wrapped, created_at, current
) VALUES (?, ?, ?, ?, ?, ?, 1);

-- name: retire
UPDATE security_data_keys SET current = 0
WHERE tenant = ? AND purpose = ? AND current = 1;

-- name: under_other_master
SELECT id, tenant, purpose, master_id, wrapped FROM security_data_keys
WHERE master_id <> ? LIMIT ?;

-- name: rewrap
UPDATE security_data_keys SET master_id = ?, wrapped = ? WHERE id = ?;

-- name: destroy
DELETE FROM security_data_keys WHERE tenant = ? AND purpose = ?;

-- name: destroy_of_tenant
DELETE FROM security_data_keys WHERE tenant = ?;

-- name: masters
SELECT DISTINCT master_id FROM security_data_keys;

-- name: tenants
SELECT DISTINCT tenant FROM security_data_keys WHERE purpose = ? ORDER BY tenant;

-- name: census
SELECT tenant, purpose, master_id, count(*) FROM security_data_keys
GROUP BY tenant, purpose, master_id ORDER BY tenant, purpose, master_id;
