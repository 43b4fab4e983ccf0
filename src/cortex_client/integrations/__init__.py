"""Adapters for what people already use; one module a framework.

Each module imports its framework and nothing else does, so the client needs none of
them. Where a framework is missing, importing its module says what to install.
"""
