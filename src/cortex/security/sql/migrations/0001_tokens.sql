-- Issued bearer tokens. The value is nowhere: only the SHA-256 of it. Times are epoch
-- seconds; "scopes" and "namespaces" are JSON lists of texts.
CREATE TABLE security_tokens (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scopes TEXT NOT NULL,
    namespaces TEXT NOT NULL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    revoked_by TEXT NOT NULL DEFAULT '',
    replaced_by TEXT NOT NULL DEFAULT '',
    ephemeral INTEGER NOT NULL CHECK (ephemeral IN (0, 1))
) WITHOUT ROWID;

CREATE INDEX security_tokens_by_name ON security_tokens (tenant, name);

CREATE INDEX security_tokens_by_maker ON security_tokens (tenant, created_by);

-- Counts changes that other processes must follow.
CREATE TABLE security_token_changes (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
);

INSERT INTO security_token_changes (one, version) VALUES (1, 0);
