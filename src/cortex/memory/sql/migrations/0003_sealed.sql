-- Encryption at rest: where `sealed` is set, the row's words are ciphertext and its
-- author, user, agent, run, source, tags and digests are keyed hashes (cortex.memory.
-- sealing). Without encryption it stays NULL.

ALTER TABLE memories ADD COLUMN sealed BLOB;
ALTER TABLE memory_sessions ADD COLUMN sealed BLOB;

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
    m.quarantined_at, m.quarantine_reason, m.sealed
FROM memories m
LEFT JOIN memory_usage u ON u.seq = m.seq
LEFT JOIN memory_spaces s ON s.id = m.space_id;
