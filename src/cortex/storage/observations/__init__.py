"""What was observed over time, in a file of its own: metrics, spans and errors.

The file is a convenience: it is small, bounded, and may be deleted while the server
is down. It is therefore not synced at each commit, as memory and ledger are.
"""
