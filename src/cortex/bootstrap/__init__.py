"""The composition root: from settings to a running whole.

The only package that names the concrete classes of every room. ``build`` makes one
process's worth of Cortex, ``serve`` runs it until it is told to stop.
"""

from cortex.bootstrap.process import build, build_edge, serve

__all__ = ["build", "build_edge", "serve"]
