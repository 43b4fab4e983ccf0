"""Claims about models: how fast, how good."""
