-- What the settings were when a process last started: a digest of each by name, so that
-- a change is told once, by whichever process starts first.
CREATE TABLE security_configuration (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    digests TEXT NOT NULL
);
