"""Cortex: context, proof, control and release for teams that run AI agents."""

__version__ = "0.1.0"
