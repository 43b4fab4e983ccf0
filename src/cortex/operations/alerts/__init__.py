"""Alerts: conditions over time, kept over restarts, told as events."""
