-- What each alert is doing, so that a restart neither forgets nor repeats a page.
-- Times are epoch seconds; zero stands for never.
CREATE TABLE alert_states (
    rule TEXT PRIMARY KEY,
    phase TEXT NOT NULL CHECK (phase IN ('pending', 'firing')),
    since REAL NOT NULL,
    fired_at REAL NOT NULL,
    value REAL NOT NULL,
    acknowledged_by TEXT NOT NULL DEFAULT '',
    acknowledged_at REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- When the rules were last looked at: how long nobody did.
CREATE TABLE alert_evaluations (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at REAL NOT NULL
);

INSERT INTO alert_evaluations (one, at) VALUES (1, 0);
