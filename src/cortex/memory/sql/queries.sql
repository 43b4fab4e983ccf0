-- name: namespace_id
SELECT id FROM memory_namespaces WHERE tenant = ? AND name = ?

-- name: insert_namespace
INSERT INTO memory_namespaces (tenant, name) VALUES (?, ?) RETURNING id

-- name: namespaces_of_tenant
SELECT id, name FROM memory_namespaces WHERE tenant = ? ORDER BY name

-- name: namespace_by_id
SELECT tenant, name FROM memory_namespaces WHERE id = ?

-- name: space_id
SELECT id FROM memory_spaces WHERE name = ?

-- name: insert_space
INSERT INTO memory_spaces (name) VALUES (?) RETURNING id

-- name: insert_memory
INSERT INTO memories (
    ns_id, id, tier, kind, space_id, session_id, agent_id, user_id, author, importance,
    modality, occurred_at, valid_from, valid_to, expires_at, created_at, updated_at,
    bytes, content_sha256, dedupe, tags, metadata, terms, content,
    content_z, written_by, run_id, source, source_kind, trust, quarantined_at,
    quarantine_reason, sealed
) VALUES (
    :ns_id, :id, :tier, :kind, :space_id, :session_id, :agent_id, :user_id, :author,
    :importance, :modality, :occurred_at, :valid_from, :valid_to, :expires_at,
    :created_at, :updated_at, :bytes, :content_sha256, :dedupe, :tags, :metadata,
    :terms, :content, :content_z, :written_by, :run_id, :source, :source_kind, :trust,
    :quarantined_at, :quarantine_reason, :sealed
) ON CONFLICT DO NOTHING

-- name: same_memory
SELECT id, space_id, expires_at, quarantine_reason FROM memories
WHERE ns_id = ?1 AND dedupe = ?2
UNION
SELECT id, space_id, expires_at, quarantine_reason FROM memories
WHERE ns_id = ?1 AND id = ?3

-- name: same_before
SELECT id, space_id, expires_at, quarantine_reason FROM memories
WHERE ns_id = :ns_id AND dedupe = :dedupe AND content_sha256 = :content_sha256
AND source_kind = :source_kind
AND coalesce(user_id, '') = coalesce(:user_id, '')
AND coalesce(agent_id, '') = coalesce(:agent_id, '')

-- name: set_aside
UPDATE memories SET dedupe = :aside
WHERE ns_id = :ns_id AND dedupe = :dedupe
AND (coalesce(user_id, '') <> '' OR coalesce(agent_id, '') <> '')

-- name: id_taken
SELECT 1 FROM memories WHERE id = ?

-- name: key_taken
SELECT 1 FROM memories WHERE ns_id = ? AND dedupe = ? AND seq <> ?

-- name: insert_vectors
INSERT OR REPLACE INTO memory_vectors (seq, spans, vectors) VALUES (?, ?, ?)

-- name: insert_usage
INSERT OR REPLACE INTO memory_usage (seq, accessed_at, access_count, heat)
VALUES (?, ?, ?, ?)

-- name: count
INSERT INTO memory_counts (ns_id, tier, kind, space_id, items, bytes)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (ns_id, tier, kind, space_id)
DO UPDATE SET items = items + excluded.items, bytes = bytes + excluded.bytes

-- name: insert_change
INSERT INTO memory_changes (ns_id, seq, gone) VALUES (?, ?, ?)

-- name: record
SELECT * FROM memory_records WHERE ns_id = ? AND id = ?

-- name: seq_of
SELECT seq FROM memories WHERE ns_id = ? AND id = ?

-- name: records_by_seq
-- The unary plus keeps the planner from walking the whole namespace by its index.
SELECT r.*, v.spans
FROM memory_records r LEFT JOIN memory_vectors v ON v.seq = r.seq
WHERE r.seq IN (SELECT value FROM json_each(?2)) AND +r.ns_id = ?1

-- name: list_newest
SELECT * FROM memory_records
WHERE ns_id = :ns_id AND seq < :before
    AND (expires_at IS NULL OR expires_at > :now)
    AND (:session_id IS NULL OR session_id = :session_id)
    AND (:user_id IS NULL OR user_id = :user_id)
    AND (:agent_id IS NULL OR agent_id = :agent_id)
    AND (:author IS NULL OR author = :author)
    AND (:kind IS NULL OR kind = :kind)
    AND (:modality IS NULL OR modality = :modality)
    AND (:start IS NULL OR occurred_at >= :start)
    AND (:end IS NULL OR occurred_at < :end)
    AND (:tiers IS NULL OR tier IN (SELECT value FROM json_each(:tiers)))
    AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(tags)))
    AND (:quarantined IS NULL OR (quarantined_at IS NOT NULL) = :quarantined)
    AND (:min_trust IS NULL OR trust >= :min_trust)
    AND (:kinds IS NULL OR source_kind IN (SELECT value FROM json_each(:kinds)))
    AND (:source IS NULL OR source = :source)
    AND (:run_id IS NULL OR run_id = :run_id)
    AND (:written_by IS NULL OR written_by = :written_by)
ORDER BY seq DESC LIMIT :limit

-- name: list_oldest
SELECT * FROM memory_records
WHERE ns_id = :ns_id AND seq > :after
    AND (expires_at IS NULL OR expires_at > :now)
    AND (:session_id IS NULL OR session_id = :session_id)
    AND (:user_id IS NULL OR user_id = :user_id)
    AND (:agent_id IS NULL OR agent_id = :agent_id)
    AND (:author IS NULL OR author = :author)
    AND (:kind IS NULL OR kind = :kind)
    AND (:modality IS NULL OR modality = :modality)
    AND (:start IS NULL OR occurred_at >= :start)
    AND (:end IS NULL OR occurred_at < :end)
    AND (:tiers IS NULL OR tier IN (SELECT value FROM json_each(:tiers)))
    AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(tags)))
    AND (:quarantined IS NULL OR (quarantined_at IS NOT NULL) = :quarantined)
    AND (:min_trust IS NULL OR trust >= :min_trust)
    AND (:kinds IS NULL OR source_kind IN (SELECT value FROM json_each(:kinds)))
    AND (:source IS NULL OR source = :source)
    AND (:run_id IS NULL OR run_id = :run_id)
    AND (:written_by IS NULL OR written_by = :written_by)
ORDER BY seq LIMIT :limit

-- name: list_keyed
-- At most one row: a namespace holds a key once.
SELECT * FROM memory_records
WHERE ns_id = :ns_id AND dedupe = :dedupe
    AND (expires_at IS NULL OR expires_at > :now)
    AND (:session_id IS NULL OR session_id = :session_id)
    AND (:user_id IS NULL OR user_id = :user_id)
    AND (:agent_id IS NULL OR agent_id = :agent_id)
    AND (:author IS NULL OR author = :author)
    AND (:kind IS NULL OR kind = :kind)
    AND (:modality IS NULL OR modality = :modality)
    AND (:start IS NULL OR occurred_at >= :start)
    AND (:end IS NULL OR occurred_at < :end)
    AND (:tiers IS NULL OR tier IN (SELECT value FROM json_each(:tiers)))
    AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(tags)))
    AND (:quarantined IS NULL OR (quarantined_at IS NOT NULL) = :quarantined)
    AND (:min_trust IS NULL OR trust >= :min_trust)
    AND (:kinds IS NULL OR source_kind IN (SELECT value FROM json_each(:kinds)))
    AND (:source IS NULL OR source = :source)
    AND (:run_id IS NULL OR run_id = :run_id)
    AND (:written_by IS NULL OR written_by = :written_by)
LIMIT :limit

-- name: list_session_newest
SELECT * FROM memory_records
WHERE ns_id = :ns_id AND session_id = :session_id AND seq < :before
    AND (expires_at IS NULL OR expires_at > :now)
    AND (:user_id IS NULL OR user_id = :user_id)
    AND (:agent_id IS NULL OR agent_id = :agent_id)
    AND (:author IS NULL OR author = :author)
    AND (:kind IS NULL OR kind = :kind)
    AND (:modality IS NULL OR modality = :modality)
    AND (:start IS NULL OR occurred_at >= :start)
    AND (:end IS NULL OR occurred_at < :end)
    AND (:tiers IS NULL OR tier IN (SELECT value FROM json_each(:tiers)))
    AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(tags)))
    AND (:quarantined IS NULL OR (quarantined_at IS NOT NULL) = :quarantined)
    AND (:min_trust IS NULL OR trust >= :min_trust)
    AND (:kinds IS NULL OR source_kind IN (SELECT value FROM json_each(:kinds)))
    AND (:source IS NULL OR source = :source)
    AND (:run_id IS NULL OR run_id = :run_id)
    AND (:written_by IS NULL OR written_by = :written_by)
ORDER BY seq DESC LIMIT :limit

-- name: list_session_oldest
SELECT * FROM memory_records
WHERE ns_id = :ns_id AND session_id = :session_id AND seq > :after
    AND (expires_at IS NULL OR expires_at > :now)
    AND (:user_id IS NULL OR user_id = :user_id)
    AND (:agent_id IS NULL OR agent_id = :agent_id)
    AND (:author IS NULL OR author = :author)
    AND (:kind IS NULL OR kind = :kind)
    AND (:modality IS NULL OR modality = :modality)
    AND (:start IS NULL OR occurred_at >= :start)
    AND (:end IS NULL OR occurred_at < :end)
    AND (:tiers IS NULL OR tier IN (SELECT value FROM json_each(:tiers)))
    AND (:tag IS NULL OR :tag IN (SELECT value FROM json_each(tags)))
    AND (:quarantined IS NULL OR (quarantined_at IS NOT NULL) = :quarantined)
    AND (:min_trust IS NULL OR trust >= :min_trust)
    AND (:kinds IS NULL OR source_kind IN (SELECT value FROM json_each(:kinds)))
    AND (:source IS NULL OR source = :source)
    AND (:run_id IS NULL OR run_id = :run_id)
    AND (:written_by IS NULL OR written_by = :written_by)
ORDER BY seq LIMIT :limit

-- name: update_memory
UPDATE memories SET
    kind = :kind, author = :author, importance = :importance, tags = :tags,
    metadata = :metadata, valid_from = :valid_from, valid_to = :valid_to,
    expires_at = :expires_at, updated_at = :updated_at, user_id = :user_id,
    agent_id = :agent_id, run_id = :run_id, source = :source,
    content_sha256 = :content_sha256, dedupe = :dedupe, sealed = :sealed
WHERE ns_id = :ns_id AND seq = :seq

-- name: update_content
UPDATE memories SET
    content = :content, content_z = :content_z, bytes = :bytes, tier = :tier,
    content_sha256 = :content_sha256, terms = :terms, sealed = :sealed, space_id = :space_id,
    written_by = :written_by,
    quarantine_reason = iif(quarantined_at IS NULL, :quarantine_reason, quarantine_reason),
    quarantined_at = coalesce(quarantined_at, :quarantined_at)
WHERE ns_id = :ns_id AND seq = :seq

-- name: quarantine
UPDATE memories SET quarantined_at = :now, quarantine_reason = :reason
WHERE ns_id = :ns_id AND id = :id AND quarantined_at IS NULL
RETURNING seq

-- name: release
UPDATE memories SET quarantined_at = NULL, quarantine_reason = ''
WHERE ns_id = :ns_id AND id = :id AND quarantined_at IS NOT NULL
RETURNING seq

-- name: counted
SELECT tier, kind, coalesce(space_id, 0), bytes FROM memories
WHERE ns_id = :ns_id AND seq = :seq

-- name: forgettable
SELECT seq, tier, kind, coalesce(space_id, 0), bytes, content_sha256, sealed
FROM memories WHERE ns_id = ? AND id = ?

-- name: delete_memory
DELETE FROM memories WHERE ns_id = ? AND seq = ?

-- name: delete_vectors
DELETE FROM memory_vectors WHERE seq = ?

-- name: delete_usage
DELETE FROM memory_usage WHERE seq = ?

-- name: expired
SELECT n.tenant, n.name, m.id
FROM memories m JOIN memory_namespaces n ON n.id = m.ns_id
WHERE m.expires_at IS NOT NULL AND m.expires_at <= ?
ORDER BY m.expires_at LIMIT ?

-- name: stats
SELECT n.name, c.tier, c.kind, c.space_id, c.items, c.bytes
FROM memory_counts c JOIN memory_namespaces n ON n.id = c.ns_id
WHERE n.tenant = :tenant AND (:name IS NULL OR n.name = :name) AND c.items > 0

-- name: without_space
SELECT r.* FROM memories m JOIN memory_records r ON r.seq = m.seq
WHERE m.space_id IS NULL AND m.seq > :after ORDER BY m.seq LIMIT :limit

-- name: in_other_spaces
SELECT r.* FROM memories m JOIN memory_records r ON r.seq = m.seq
WHERE m.space_id IS NOT :space_id AND m.seq > :after ORDER BY m.seq LIMIT :limit

-- name: items_in_other_spaces
SELECT
    coalesce(sum(items) FILTER (WHERE space_id = 0), 0),
    coalesce(sum(items) FILTER (WHERE space_id NOT IN (0, ?)), 0)
FROM memory_counts

-- name: set_space
UPDATE memories SET space_id = :space_id
WHERE ns_id = :ns_id AND seq = :seq AND content_sha256 = :content_sha256

-- name: head
SELECT
    (SELECT max(seq) FROM memories WHERE ns_id = ?1),
    (SELECT max(version) FROM memory_changes WHERE ns_id = ?1),
    (SELECT min(version) FROM memory_changes)

-- name: exported_after
SELECT * FROM memory_records
WHERE ns_id = ?1 AND seq > ?2 AND (expires_at IS NULL OR expires_at > ?3)
    AND (quarantined_at IS NULL OR ?5)
ORDER BY seq LIMIT ?4

-- name: projected_after
SELECT
    m.seq, m.occurred_at, m.expires_at, m.importance, m.tier, m.modality, m.kind,
    m.author, m.session_id, m.user_id, m.agent_id, m.tags, m.metadata, m.terms,
    substr(m.content_sha256, 1, 8), s.name, coalesce(length(v.spans) / 8, 0), v.vectors,
    m.trust, m.source_kind, m.quarantined_at IS NOT NULL, m.id, m.sealed
FROM memories m
LEFT JOIN memory_vectors v ON v.seq = m.seq
LEFT JOIN memory_spaces s ON s.id = m.space_id
WHERE m.ns_id = ? AND m.seq > ? ORDER BY m.seq LIMIT ?

-- name: projected_by_seq
SELECT
    m.seq, m.occurred_at, m.expires_at, m.importance, m.tier, m.modality, m.kind,
    m.author, m.session_id, m.user_id, m.agent_id, m.tags, m.metadata, m.terms,
    substr(m.content_sha256, 1, 8), s.name, coalesce(length(v.spans) / 8, 0), v.vectors,
    m.trust, m.source_kind, m.quarantined_at IS NOT NULL, m.id, m.sealed
FROM memories m
LEFT JOIN memory_vectors v ON v.seq = m.seq
LEFT JOIN memory_spaces s ON s.id = m.space_id
WHERE m.seq IN (SELECT value FROM json_each(?2)) AND +m.ns_id = ?1 ORDER BY m.seq

-- name: changes_after
SELECT version, seq, gone FROM memory_changes
WHERE ns_id = ? AND version > ? ORDER BY version LIMIT ?

-- name: change_range
SELECT
    (SELECT min(version) FROM memory_changes),
    (SELECT max(version) FROM memory_changes)

-- name: prune_changes
DELETE FROM memory_changes
WHERE version <= (SELECT max(version) FROM memory_changes) - ?

-- name: usage_after
SELECT
    m.seq, m.ns_id, n.tenant, n.name, m.id, m.tier, m.importance,
    coalesce(u.accessed_at, m.created_at), coalesce(u.heat, 1.0)
FROM memories m
JOIN memory_namespaces n ON n.id = m.ns_id
LEFT JOIN memory_usage u ON u.seq = m.seq
WHERE m.seq > ? ORDER BY m.seq LIMIT ?

-- name: usage
SELECT
    n.tenant, n.name, m.id, m.tier, m.importance,
    coalesce(u.accessed_at, m.created_at), coalesce(u.access_count, 0),
    coalesce(u.heat, 1.0)
FROM memories m
JOIN memory_namespaces n ON n.id = m.ns_id
LEFT JOIN memory_usage u ON u.seq = m.seq
WHERE m.ns_id = ? AND m.seq = ?

-- name: content
SELECT id, content, content_z FROM memories WHERE ns_id = :ns_id AND seq = :seq

-- name: move_tier
UPDATE memories SET
    tier = :tier, content = :content, content_z = :content_z, bytes = :bytes
WHERE ns_id = :ns_id AND seq = :seq

-- name: insert_session
INSERT INTO memory_sessions
    (ns_id, id, title, user_id, agent_id, metadata, created_at, updated_at, sealed)
VALUES (
    :ns_id, :id, :title, :user_id, :agent_id, :metadata, :created_at, :created_at,
    :sealed
) ON CONFLICT DO NOTHING

-- name: session
SELECT s.id, s.title, s.user_id, s.agent_id, s.metadata, s.created_at, s.updated_at, (
    SELECT count(*) FROM memories m WHERE m.ns_id = s.ns_id AND m.session_id = s.id
), s.sealed
FROM memory_sessions s WHERE s.ns_id = ? AND s.id = ?

-- name: sessions_after
SELECT s.id, s.title, s.user_id, s.agent_id, s.metadata, s.created_at, s.updated_at, (
    SELECT count(*) FROM memories m WHERE m.ns_id = s.ns_id AND m.session_id = s.id
), s.sealed
FROM memory_sessions s WHERE s.ns_id = ? AND s.id > ? ORDER BY s.id LIMIT ?

-- name: touch_session
UPDATE memory_sessions SET updated_at = max(updated_at, ?) WHERE ns_id = ? AND id = ?

-- name: delete_sessions
DELETE FROM memory_sessions
WHERE ns_id = ?1 AND (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR user_id = ?3)
    AND (?4 IS NULL OR agent_id = ?4)

-- name: unsealed_memories
SELECT r.seq, n.tenant FROM memories r JOIN memory_namespaces n ON n.id = r.ns_id
WHERE r.sealed IS NULL AND r.seq > ? ORDER BY r.seq LIMIT ?

-- name: plain_row
SELECT
    id, author, user_id, agent_id, run_id, source, tags, metadata, content_sha256,
    dedupe, terms, content, content_z
FROM memories WHERE seq = ?

-- name: seal_row
UPDATE memories SET
    author = :author, user_id = :user_id, agent_id = :agent_id, run_id = :run_id,
    source = :source, tags = :tags, metadata = :metadata,
    content_sha256 = :content_sha256, dedupe = :dedupe, terms = :terms,
    content = :content, content_z = :content_z, sealed = :sealed
WHERE seq = :seq

-- name: vectors_of
SELECT vectors FROM memory_vectors WHERE seq = ?

-- name: seal_vectors
UPDATE memory_vectors SET vectors = ? WHERE seq = ?

-- name: unsealed_sessions
SELECT n.tenant, s.ns_id, s.id, s.title, s.user_id, s.agent_id, s.metadata
FROM memory_sessions s JOIN memory_namespaces n ON n.id = s.ns_id
WHERE s.sealed IS NULL LIMIT ?

-- name: seal_session
UPDATE memory_sessions SET
    title = :title, user_id = :user_id, agent_id = :agent_id, metadata = :metadata,
    sealed = :sealed
WHERE ns_id = :ns_id AND id = :id
