CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    kind TEXT NOT NULL,
    born REAL NOT NULL,
    UNIQUE (name, labels)
) STRICT;

-- One row an instant: a packed vector with the value of series n at position n - 1.
CREATE TABLE instants (
    tier INTEGER NOT NULL,
    at REAL NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (tier, at)
) STRICT;

-- What the counters stood at, as exposed and in total, when they were last sampled.
CREATE TABLE counters (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    at REAL NOT NULL,
    run TEXT NOT NULL,
    exposed BLOB NOT NULL,
    totals BLOB NOT NULL
) STRICT;
