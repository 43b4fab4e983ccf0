-- A search without conditions begins at a tenant's newest entry and stops at the limit;
-- by (tenant, kind) it would read and sort all the tenant ever recorded.
CREATE INDEX entries_by_tenant ON entries (tenant);
