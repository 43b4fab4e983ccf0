-- What is remembered. `seq` is the order of storing and never comes twice, so that a
-- projection can follow by "everything after seq N"; changes to older rows are told
-- in memory_changes. Small columns come first: a filter scan then reads no content.

CREATE TABLE memory_namespaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (tenant, name)
) STRICT;

CREATE TABLE memory_spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE memories (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    ns_id INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    tier TEXT NOT NULL,
    kind TEXT NOT NULL,
    space_id INTEGER,
    session_id TEXT,
    agent_id TEXT,
    user_id TEXT,
    author TEXT NOT NULL,
    importance REAL NOT NULL,
    modality TEXT NOT NULL,
    occurred_at REAL NOT NULL,
    valid_from REAL,
    valid_to REAL,
    expires_at REAL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    bytes INTEGER NOT NULL,
    content_sha256 BLOB NOT NULL,
    dedupe BLOB,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    terms BLOB NOT NULL,
    content TEXT,
    content_z BLOB
) STRICT;

CREATE INDEX memories_by_namespace ON memories (ns_id);
CREATE UNIQUE INDEX memories_by_dedupe ON memories (ns_id, dedupe)
    WHERE dedupe IS NOT NULL;
CREATE INDEX memories_by_session ON memories (ns_id, session_id)
    WHERE session_id IS NOT NULL;
CREATE INDEX memories_by_expiry ON memories (expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX memories_pending ON memories (ns_id) WHERE space_id IS NULL;

CREATE TABLE memory_vectors (
    seq INTEGER PRIMARY KEY,
    spans BLOB NOT NULL,
    vectors BLOB NOT NULL
) STRICT;

-- Use is kept apart from the row: counting a read must not rewrite the content.
CREATE TABLE memory_usage (
    seq INTEGER PRIMARY KEY,
    accessed_at REAL NOT NULL,
    access_count INTEGER NOT NULL,
    heat REAL NOT NULL
) STRICT;

-- What projections must hear about rows they have seen: `gone` rows were forgotten,
-- the others are to be read again. Ids only, never content.
CREATE TABLE memory_changes (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    ns_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    gone INTEGER NOT NULL
) STRICT;

CREATE INDEX memory_changes_by_namespace ON memory_changes (ns_id);

CREATE TABLE memory_counts (
    ns_id INTEGER NOT NULL,
    tier TEXT NOT NULL,
    kind TEXT NOT NULL,
    space_id INTEGER NOT NULL,
    items INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (ns_id, tier, kind, space_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE memory_sessions (
    ns_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    user_id TEXT,
    agent_id TEXT,
    metadata TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (ns_id, id)
) STRICT, WITHOUT ROWID;

CREATE VIEW memory_records AS
SELECT
    m.seq, m.ns_id, m.id, m.content, m.content_z, m.author, m.kind, m.session_id,
    m.agent_id, m.user_id, m.importance, m.tags, m.metadata, m.occurred_at,
    m.valid_from, m.valid_to, m.expires_at, m.created_at, m.updated_at,
    coalesce(u.accessed_at, m.created_at) AS accessed_at,
    coalesce(u.access_count, 0) AS access_count,
    coalesce(u.heat, 1.0) AS heat,
    m.tier, m.modality, s.name AS space, m.content_sha256, m.dedupe
FROM memories m
LEFT JOIN memory_usage u ON u.seq = m.seq
LEFT JOIN memory_spaces s ON s.id = m.space_id;
