-- name: newest
SELECT coalesce(max(number), 0) FROM configuration_revisions;

-- name: revision
SELECT number, layer, changes, kind, target, actor, reason, at
FROM configuration_revisions WHERE number = :number;

-- name: history
SELECT number, layer, changes, kind, target, actor, reason, at
FROM configuration_revisions WHERE number < :before
ORDER BY number DESC LIMIT :count;

-- name: add
INSERT INTO configuration_revisions
    (number, layer, changes, kind, target, actor, reason, at)
VALUES
    (:number, :layer, :changes, :kind, :target, :actor, :reason, :at);

-- name: forget
DELETE FROM configuration_revisions WHERE number <= :number;
