"""What a database may be tuned by; the defaults are what is acknowledged as durable."""

from dataclasses import dataclass
from typing import Literal

BUSY_TIMEOUT_MS = 5_000
"""Milliseconds SQLite waits for a lock that another program holds."""

LOCK_WAIT_SECONDS = 30.0
"""Seconds the writer waits for its turn among processes before the group fails."""

READER_THREADS = 4
"""Threads for reads: more only queue for the interpreter lock and the page cache."""

READS_PENDING_MAX = 1_024
"""Reads waiting for a thread; beyond it callers are told to slow down."""

WRITE_QUEUE_UNITS_MAX = 4_096
"""Units waiting for the writer: about a third of a second at 14 000 units/s."""

GROUP_UNITS_MAX = 1_024
"""Units in one commit: bounds what a failed commit takes down with it."""

GROUP_SECONDS_MAX = 0.1
"""Seconds of work in one commit before it is closed: bounds everyone's wait."""

CACHE_KIB = 8_192
"""KiB of page cache for the writer."""

READER_CACHE_KIB = 2_048
"""KiB of page cache for each read connection."""

WAL_CHECKPOINT_PAGES = 2_000
"""Pages in the WAL before a commit copies them back: 8 MB at 4 KiB a page."""

WAL_KEPT_BYTES = 64 * 1024 * 1024
"""Bytes the WAL file may keep on disk after a checkpoint emptied it."""


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How one file is opened.

    Attributes:
        synchronous: ``FULL`` syncs each commit, so that what is acknowledged survives
            a power cut; ``NORMAL`` only survives a crash of the process.
        secure_delete: overwrite deleted content with zeros.
        halt_on_io_error: refuse all writes after a failed sync until it is opened
            again; for files where a gap is worse than an outage.
        busy_timeout_ms: how long SQLite itself waits for a foreign lock.
        lock_wait_seconds: how long a group waits for its turn among processes.
        reader_threads: threads that run ``read``.
        write_queue_units_max: units that may wait for the writer.
        group_units_max: units in one commit.
        page_count_max: upper bound of the file in pages of 4 KiB; 0 means none.
    """

    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    secure_delete: bool = True
    halt_on_io_error: bool = False
    busy_timeout_ms: int = BUSY_TIMEOUT_MS
    lock_wait_seconds: float = LOCK_WAIT_SECONDS
    reader_threads: int = READER_THREADS
    write_queue_units_max: int = WRITE_QUEUE_UNITS_MAX
    group_units_max: int = GROUP_UNITS_MAX
    page_count_max: int = 0
