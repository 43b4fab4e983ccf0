"""Service level objectives: what is promised, what is left of it, when to page."""
