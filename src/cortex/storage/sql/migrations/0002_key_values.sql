-- Hot state that survives a restart. "used" orders by last use within a namespace.
CREATE TABLE key_values (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    expires_at REAL,
    used INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (tenant, namespace, key)
);

CREATE INDEX key_values_by_use ON key_values (tenant, namespace, used);

CREATE INDEX key_values_by_expiry ON key_values (expires_at)
WHERE expires_at IS NOT NULL;
