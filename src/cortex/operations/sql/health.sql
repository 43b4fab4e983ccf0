-- name: unwell
SELECT component FROM unwell_components;

-- name: fell
INSERT INTO unwell_components (component, since) VALUES (:component, :since)
ON CONFLICT (component) DO UPDATE SET since = excluded.since;

-- name: rose
DELETE FROM unwell_components WHERE component = :component;
