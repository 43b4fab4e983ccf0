-- The log itself: nothing here is ever updated; leaves move to bundles when they age.
CREATE TABLE leaves (
    idx INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- What searches go by; a projection of the leaves, rebuilt from them at need.
CREATE TABLE entries (
    idx INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    time_us INTEGER NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    run_id TEXT,
    correlation_id TEXT,
    agent TEXT,
    outcome TEXT,
    latency_ms REAL
) STRICT;

CREATE UNIQUE INDEX entries_by_id ON entries (id);
CREATE INDEX entries_by_kind ON entries (tenant, kind);
CREATE INDEX entries_by_run ON entries (tenant, run_id) WHERE run_id IS NOT NULL;
CREATE INDEX entries_by_correlation ON entries (tenant, correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX entries_by_agent ON entries (tenant, agent) WHERE agent IS NOT NULL;
CREATE INDEX entries_by_outcome ON entries (tenant, outcome) WHERE outcome IS NOT NULL;

-- Bodies named by their SHA-256: sealed content, and data too long for a leaf.
CREATE TABLE blobs (
    idx INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (idx, sha256)
) STRICT;

-- Every head that was signed, kept before it is shown.
CREATE TABLE heads (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    note BLOB NOT NULL,
    signed_us INTEGER NOT NULL
) STRICT;

-- Which key opens whose content; the keys themselves lie in another file.
CREATE TABLE subjects (
    slot INTEGER PRIMARY KEY,
    tenant TEXT,
    name TEXT,
    forgotten_us INTEGER,
    destroyed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
