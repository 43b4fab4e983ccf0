"""Client for Cortex: the same calls, async and sync."""
