"""One module a journey: what Cortex does for a caller, free of any framework."""
