"""Every request the server understands, as pure functions that return a ``Call``."""
