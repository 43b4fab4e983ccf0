"""One runnable file a claim; each prints its figure, a baseline and the ratio."""
