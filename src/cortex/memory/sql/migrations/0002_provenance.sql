-- Where a memory came from and how far it is trusted. `written_by` is the subject of
-- the principal that wrote it; source, kind and run are what the writer said. Rows from
-- before this step have no writer and the trust of an unknown source.

ALTER TABLE memories ADD COLUMN written_by TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN run_id TEXT;
ALTER TABLE memories ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN source_kind TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE memories ADD COLUMN trust REAL NOT NULL DEFAULT 0.7;
ALTER TABLE memories ADD COLUMN quarantined_at REAL;
ALTER TABLE memories ADD COLUMN quarantine_reason TEXT NOT NULL DEFAULT '';

DROP VIEW memory_records;

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
    m.quarantined_at, m.quarantine_reason
FROM memories m
LEFT JOIN memory_usage u ON u.seq = m.seq
LEFT JOIN memory_spaces s ON s.id = m.space_id;
