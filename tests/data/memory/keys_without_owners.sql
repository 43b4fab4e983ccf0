BEGIN TRANSACTION;
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
, written_by TEXT NOT NULL DEFAULT '', run_id TEXT, source TEXT NOT NULL DEFAULT '', source_kind TEXT NOT NULL DEFAULT 'unknown', trust REAL NOT NULL DEFAULT 0.7, quarantined_at REAL, quarantine_reason TEXT NOT NULL DEFAULT '', sealed BLOB) STRICT;
INSERT INTO "memories" VALUES(1,1,'id-000001','warm','message',1,NULL,NULL,'ana','Ana',0.5,'text',1700000000.0,NULL,NULL,NULL,1700000000.0,1700000000.0,21,X'6994D45AD1FA57A1BA3F4FE07D603BA6F3B69A9307220DC9C1B5C0B4E7338C1D',X'DB64DCDF6A28FB187D759EB08D304915','[]','{}',X'D140BE0D01E26F9F7702B2D7868E0121EE9AD001','Ana drinks green tea.',NULL,'tester',NULL,'','unknown',0.7,NULL,'',NULL);
INSERT INTO "memories" VALUES(2,1,'id-000002','warm','message',1,NULL,'planner',NULL,'',0.5,'text',1699999940.0,NULL,NULL,NULL,1700000000.0,1700000000.0,25,X'E16AAA010B42D35DD365F374022C7D71A08154CE545E3325704F8A3F8C271E09',X'AE173C7DEFAEEE3EE83F6831558A1562','[]','{}',X'E66D453C01A3E4665C013CFD576A017D7C1D7B01831028DB01','The train leaves at nine.',NULL,'tester',NULL,'','unknown',0.7,NULL,'',NULL);
INSERT INTO "memories" VALUES(3,1,'id-000003','warm','message',1,NULL,NULL,NULL,'Ben',0.5,'text',1700000000.0,NULL,NULL,NULL,1700000000.0,1700000000.0,25,X'4810889592D9C897B53B48E3AA7457772D85E3D5D0F4A74F67FB5864F0116BCD',X'7CA03E73A9BAEB0413C4A394220F8BF3','[]','{}',X'E115920601E66D453C0297E2EA3C01A9AB908A01A26EC094019CF4B6C501','The key is under the mat.',NULL,'tester',NULL,'','unknown',0.7,NULL,'',NULL);
INSERT INTO "memories" VALUES(4,1,'id-000004','warm','message',1,NULL,NULL,'ben','',0.5,'text',1700000000.0,NULL,NULL,NULL,1700000000.0,1700000000.0,15,X'43E6F54EC125DDF370D90AD507BD827276944D50EB36DB224D1FE7D1FB4B3EC6',X'5FB38305B9B594436EDFE212E00E6B9D','[]','{}',X'E11592060169CC4091010B48F0CB01','Ben keeps bees.',NULL,'tester',NULL,'','unknown',0.7,NULL,'',NULL);
CREATE TABLE memory_changes (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    ns_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    gone INTEGER NOT NULL
) STRICT;
CREATE TABLE memory_counts (
    ns_id INTEGER NOT NULL,
    tier TEXT NOT NULL,
    kind TEXT NOT NULL,
    space_id INTEGER NOT NULL,
    items INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (ns_id, tier, kind, space_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "memory_counts" VALUES(1,'warm','message',1,4,86);
CREATE TABLE memory_namespaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (tenant, name)
) STRICT;
INSERT INTO "memory_namespaces" VALUES(1,'local','default');
CREATE TABLE memory_sessions (
    ns_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    user_id TEXT,
    agent_id TEXT,
    metadata TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL, sealed BLOB,
    PRIMARY KEY (ns_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE memory_spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "memory_spaces" VALUES(1,'test-space');
CREATE TABLE memory_usage (
    seq INTEGER PRIMARY KEY,
    accessed_at REAL NOT NULL,
    access_count INTEGER NOT NULL,
    heat REAL NOT NULL
) STRICT;
CREATE TABLE memory_vectors (
    seq INTEGER PRIMARY KEY,
    spans BLOB NOT NULL,
    vectors BLOB NOT NULL
) STRICT;
INSERT INTO "memory_vectors" VALUES(1,X'0000000015000000',X'D02E5D31183084AB94251C2C282587A753A8BF2DAAACE3B2452BDC1C9D2DE3B17E34F1210A9D60B17F34F5309733C5AB8AB47025D42C4AB4523775B5EA3396AF');
INSERT INTO "memory_vectors" VALUES(2,X'0000000019000000',X'2DB22BA80CA1DA2D90B2E73232ADCFB157AC10B68AAFBF1CC8AE95B2BF2EEF2C7BAFEEB432B44A35CBAD0E3476303932ECB1A3B32728EA2C382E65B282B0F7AD');
INSERT INTO "memory_vectors" VALUES(3,X'0000000019000000',X'E7A5FAA8C1B361210B29042E28B13C9456AF4FB4E5B52D33A9B1B7270B312735D0AD50B514AC60B211B1BF323DA6F3A49DB0A8304335F02E6830BB24389E9EB3');
INSERT INTO "memory_vectors" VALUES(4,X'000000000F000000',X'5E33ACAB602B2D31292E2F25A0356B2FBF33B4B123306334B8200F347EACBFAC03B13A3580AA1130C028F7A6CB267D294A316633D332E0B1F33546AAFEADE032');
CREATE TABLE outbox_cursors (
    subscriber TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE outbox_dead_letters (
    subscriber TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    body BLOB NOT NULL,
    error TEXT NOT NULL,
    tries INTEGER NOT NULL,
    failed_at REAL NOT NULL,
    PRIMARY KEY (subscriber, event_id)
) WITHOUT ROWID;
CREATE TABLE outbox_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    tenant TEXT NOT NULL,
    time REAL NOT NULL,
    body BLOB NOT NULL
);
INSERT INTO "outbox_events" VALUES(1,'id-000005','memory.stored','local',1700000000.0,X'7B226964223A2269642D303030303035222C2274797065223A226D656D6F72792E73746F726564222C22736F75726365223A222F636F727465782F6D656D6F7279222C2274696D65223A313730303030303030302E302C227375626A656374223A22222C2274656E616E74223A226C6F63616C222C2264617461223A7B226E616D657370616365223A2264656661756C74222C22696473223A5B2269642D303030303031222C2269642D303030303032222C2269642D303030303033222C2269642D303030303034225D2C22636F756E74223A342C226163746F72223A22746573746572227D2C22636F7272656C6174696F6E5F6964223A2274657374222C227472616365706172656E74223A22227D');
CREATE TABLE schema_migrations (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    applied_at REAL NOT NULL,
    PRIMARY KEY (room, number)
) WITHOUT ROWID;
INSERT INTO "schema_migrations" VALUES('memory',1,'memories',1700000000.0);
INSERT INTO "schema_migrations" VALUES('memory',2,'provenance',1700000000.0);
INSERT INTO "schema_migrations" VALUES('memory',3,'sealed',1700000000.0);
INSERT INTO "schema_migrations" VALUES('security',1,'tokens',1700000000.0);
INSERT INTO "schema_migrations" VALUES('security',2,'data_keys',1700000000.0);
INSERT INTO "schema_migrations" VALUES('security',3,'configuration',1700000000.0);
INSERT INTO "schema_migrations" VALUES('storage',1,'outbox',1700000000.0);
INSERT INTO "schema_migrations" VALUES('storage',2,'key_values',1700000000.0);
CREATE TABLE security_configuration (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    digests TEXT NOT NULL
);
CREATE TABLE security_data_keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    master_id TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at REAL NOT NULL,
    current INTEGER NOT NULL CHECK (current IN (0, 1))
) WITHOUT ROWID;
CREATE TABLE security_token_changes (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT INTO "security_token_changes" VALUES(1,0);
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
CREATE INDEX key_values_by_use ON key_values (tenant, namespace, used);
CREATE INDEX key_values_by_expiry ON key_values (expires_at)
WHERE expires_at IS NOT NULL;
CREATE INDEX memories_by_namespace ON memories (ns_id);
CREATE UNIQUE INDEX memories_by_dedupe ON memories (ns_id, dedupe)
    WHERE dedupe IS NOT NULL;
CREATE INDEX memories_by_session ON memories (ns_id, session_id)
    WHERE session_id IS NOT NULL;
CREATE INDEX memories_by_expiry ON memories (expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX memories_pending ON memories (ns_id) WHERE space_id IS NULL;
CREATE INDEX memory_changes_by_namespace ON memory_changes (ns_id);
CREATE VIEW memory_records AS
SELECT
    m.seq, m.ns_id, m.id, m.content, m.content_z, m.author, m.kind, m.session_id,
    m.agent_id, m.user_id, m.importance, m.tags, m.metadata, m.occurred_at,
    m.valid_from, m.valid_to, m.expires_at, m.created_at, m.updated_at,
    coalesce(u.accessed_at, m.created_at) AS accessed_at,
    coalesce(u.access_count, 0) AS access_count,
    coalesce(u.heat, 1.0) AS heat,
    m.tier, m.modality, s.name AS space, m.content_sha256, m.dedupe,
    m.written_by, m.run_id, m.source, m.source_kind, m.trust,
    m.quarantined_at, m.quarantine_reason, m.sealed
FROM memories m
LEFT JOIN memory_usage u ON u.seq = m.seq
LEFT JOIN memory_spaces s ON s.id = m.space_id;
CREATE INDEX security_tokens_by_name ON security_tokens (tenant, name);
CREATE INDEX security_tokens_by_maker ON security_tokens (tenant, created_by);
CREATE UNIQUE INDEX security_data_keys_current
ON security_data_keys (tenant, purpose)
WHERE current = 1;
CREATE INDEX security_data_keys_by_tenant ON security_data_keys (tenant, purpose);
CREATE INDEX security_data_keys_by_master ON security_data_keys (master_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('memory_namespaces',1);
INSERT INTO "sqlite_sequence" VALUES('memory_spaces',1);
INSERT INTO "sqlite_sequence" VALUES('memories',4);
INSERT INTO "sqlite_sequence" VALUES('outbox_events',1);
COMMIT;
