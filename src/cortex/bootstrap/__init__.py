"""The composition root: from settings to a running whole.

The only package that names the concrete classes of every room. ``process.build`` makes
one process's worth of Cortex, ``process.serve`` runs it until it is told to stop.
Nothing is imported here: a command that reads one file must not load the server.
"""
