"""How a ledger is kept, and where its files lie."""

from dataclasses import dataclass
from pathlib import Path

CHECKPOINT_SECONDS = 1.0
"""Seconds after which new entries are covered by a checkpoint."""

CHECKPOINT_ENTRIES = 256
"""New entries that call for a checkpoint at once: one full bundle."""

HOT_SECONDS = 7 * 86_400.0
"""Seconds that entries stay in the database."""

WARM_SECONDS = 30 * 86_400.0
"""Seconds that bundles stay on disk before they move to the archive."""

HOT_BYTES_MAX = 100 * 1024 * 1024
"""Bytes of entries in the database before the oldest move out early."""

SNAPSHOT_ENTRIES = 1_000
"""Entries between snapshots."""

SNAPSHOT_SECONDS = 86_400.0
"""Seconds between snapshots while anything is recorded."""

HEADS_KEPT_EVERY = 256
"""Of heads older than the hot time, those of sizes divisible by this stay."""

QUERY_LIMIT_MAX = 1_000
"""Entries of one page."""


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """Settings of a ledger; see the constants above for units and reasons.

    Attributes:
        origin: the log's identity; empty makes one up at the first start.
        pins: folder outside the store where keys and heads are pinned.
        post_quantum: sign heads with ML-DSA-44 as well.
        checkpoint_seconds: longest wait for a checkpoint.
        checkpoint_entries: new entries that call for one at once.
        hot_seconds: how long entries stay in the database.
        warm_seconds: how long bundles stay on disk; needs an archive.
        hot_bytes_max: entries in the database at most.
        snapshot_entries: entries between snapshots.
        snapshot_seconds: seconds between snapshots.
    """

    origin: str = ""
    pins: Path | None = None
    post_quantum: bool = False
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    checkpoint_entries: int = CHECKPOINT_ENTRIES
    hot_seconds: float = HOT_SECONDS
    warm_seconds: float = WARM_SECONDS
    hot_bytes_max: int = HOT_BYTES_MAX
    snapshot_entries: int = SNAPSHOT_ENTRIES
    snapshot_seconds: float = SNAPSHOT_SECONDS


@dataclass(frozen=True, slots=True)
class LedgerPaths:
    """Where a ledger's files lie.

    Attributes:
        root: the ledger's folder.
    """

    root: Path

    @classmethod
    def below(cls, home: Path) -> "LedgerPaths":
        """Return the paths of the ledger in a ``CORTEX_HOME``."""
        return cls(home / "ledger")

    @property
    def database(self) -> Path:
        """Return the hot store."""
        return self.root / "ledger.db"

    @property
    def tiles(self) -> Path:
        """Return the published files: what a tlog-tiles client is served."""
        return self.root / "log"

    @property
    def keys(self) -> Path:
        """Return the folder of signing keys."""
        return self.root / "keys"

    @property
    def subjects(self) -> Path:
        """Return the file of subjects' keys."""
        return self.root / "subjects.keys"

    @property
    def snapshots(self) -> Path:
        """Return the folder of snapshots."""
        return self.root / "snapshots"

    @property
    def lock(self) -> Path:
        """Return the file that lets one process publish at a time."""
        return self.root / "publish.lock"
