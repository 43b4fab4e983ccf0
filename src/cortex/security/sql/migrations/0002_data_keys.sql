-- Data keys, wrapped by a master key that is not in this file. At most one is current
-- for a tenant and purpose; the others still open what they sealed.
CREATE TABLE security_data_keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    master_id TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at REAL NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1))
) WITHOUT ROWID;

CREATE UNIQUE INDEX security_data_keys_current
ON security_data_keys (tenant, purpose)
WHERE current = 1;

CREATE INDEX security_data_keys_by_tenant ON security_data_keys (tenant, purpose);

CREATE INDEX security_data_keys_by_master ON security_data_keys (master_id);
