-- name: ledger_exists
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations';

-- name: any_table
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' LIMIT 1;

-- name: create_ledger
CREATE TABLE IF NOT EXISTS schema_migrations (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    applied_at REAL NOT NULL,
    PRIMARY KEY (room, number)
) WITHOUT ROWID;

-- name: applied_numbers
SELECT room, max(number) FROM schema_migrations GROUP BY room;

-- name: record_migration
INSERT INTO schema_migrations (room, number, name, applied_at) VALUES (?, ?, ?, ?);
