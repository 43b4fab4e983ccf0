-- Facts, written in the transaction that made them true. AUTOINCREMENT: a position is
-- never given twice, so that a cursor past pruned events stays right.
CREATE TABLE outbox_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    tenant TEXT NOT NULL,
    time REAL NOT NULL,
    body BLOB NOT NULL
);

-- How far each durable subscriber has come.
CREATE TABLE outbox_cursors (
    subscriber TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;

-- Events that a subscriber refused too often, kept for a person to look at.
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
