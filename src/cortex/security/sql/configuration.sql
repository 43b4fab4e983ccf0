-- name: last
SELECT digests FROM security_configuration;

-- name: keep
INSERT INTO security_configuration (one, digests) VALUES (1, ?)
ON CONFLICT (one) DO UPDATE SET digests = excluded.digests;
