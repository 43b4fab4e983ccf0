"""Promises to users: are they kept, what do they cost, who must be told."""
