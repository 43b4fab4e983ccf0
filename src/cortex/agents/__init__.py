"""Planning and reflection: what agents ask for besides memory, as pure decisions."""
