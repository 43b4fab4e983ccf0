-- Components that others were told are unwell, so that a restart neither forgets to
-- say that one recovered nor tells twice. Times are epoch seconds.
CREATE TABLE unwell_components (
    component TEXT PRIMARY KEY,
    since REAL NOT NULL
) WITHOUT ROWID;
