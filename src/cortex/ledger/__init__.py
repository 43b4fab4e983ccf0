"""The audit ledger: an append-only log that outsiders can verify."""
