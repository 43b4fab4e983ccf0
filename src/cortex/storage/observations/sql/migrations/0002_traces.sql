CREATE TABLE traces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trace_id TEXT NOT NULL,
    start REAL NOT NULL,
    spans INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX traces_by_start ON traces (start);
CREATE INDEX traces_by_id ON traces (trace_id);

CREATE TABLE errors (
    fingerprint TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    code TEXT NOT NULL,
    place TEXT NOT NULL,
    route TEXT NOT NULL,
    message TEXT NOT NULL,
    frames TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_seen REAL NOT NULL,
    last_seen REAL NOT NULL,
    last_trace_id TEXT NOT NULL,
    last_correlation_id TEXT NOT NULL
) STRICT;
CREATE INDEX errors_by_last_seen ON errors (last_seen);
