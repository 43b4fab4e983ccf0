-- What was set at run time, as revisions: the newest one is in force. A layer is the
-- whole of it after the change, as JSON by dotted name; changes say what was before.
-- Revision 0, with nothing set, is never stored.
CREATE TABLE configuration_revisions (
    number INTEGER PRIMARY KEY,
    layer TEXT NOT NULL,
    changes TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('changed', 'rolledback')),
    target INTEGER,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL
);
