"""Energy: how much power, from what source, and which requests used it."""
