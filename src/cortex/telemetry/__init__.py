"""Logs, metrics and correlation: what the operator sees of every request."""
