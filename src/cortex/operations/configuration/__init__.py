"""Settings that are changed at run time: what they are, and their revisions."""
