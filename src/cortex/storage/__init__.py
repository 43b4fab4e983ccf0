"""Durable state: SQLite with one writer, migrations, the outbox, key-values."""
