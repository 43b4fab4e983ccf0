"""Claims about models, one file each: what `claims` or `main` of it measures."""
