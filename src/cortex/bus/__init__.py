"""Events between rooms: what may be said, and who hears it in this process."""
