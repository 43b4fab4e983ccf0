-- What each tenant used on a day. Days count from the epoch, in UTC.
CREATE TABLE quota_usage (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    measure TEXT NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (day, tenant, measure)
) WITHOUT ROWID;
