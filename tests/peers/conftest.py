"""Tests against servers that a fresh machine lacks: ``make test-peers`` runs them.

They need Debian's packages prometheus (with promtool), chromium and etcd-server, and
requirements/peers.txt.
"""

import os

collect_ignore_glob = [] if os.environ.get("CORTEX_PEERS") else ["test_*.py"]
