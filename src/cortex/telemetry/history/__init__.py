"""Metrics over time: samples in, series out, and Prometheus' functions over them.

``model`` holds the values, ``ports`` what a store must do (the SQLite one is
``cortex.storage.observations``), ``functions`` the arithmetic, ``question`` what
people ask, and ``sampler`` reads the metrics of this process every ten seconds.
"""
