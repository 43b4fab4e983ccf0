"""Claims about memory: retrieval quality, budgets, the floor, latency and writes."""
