"""Keeping the process as large as what it holds.

Loading 100 000 memories or a vocabulary goes through some hundred megabytes of
short-lived arrays. The C library keeps freed memory for itself, in one pool for each
few threads, and the process would look, to whoever limits it, as large as at its peak.
Only glibc can be told; elsewhere both functions do nothing.
"""

import ctypes
from typing import Final

POOLS_MAX: Final = 2
"""Pools of the C library. Python threads seldom allocate at the same time; the eight
for each core that glibc allows itself keep about 15 MB apart for nothing."""

MAPPED_FROM_BYTES: Final = 4 << 20
"""Size from which memory goes back to the system when it is freed. Left alone, glibc
raises it with each large array, up to 32 MB, and the pools grow holes. Below it are the
arrays of one run of the bundled model, 3.1 MB the largest: given back, each of them is
cleared page by page by the system when the next run asks for it again, a third of the
processor time of a text of 256 tokens."""

KEPT_BYTES: Final = 16 << 20
"""Freed bytes at the end of a pool that are kept for the next run, and no more: about
what one run of the longest text has in use at once. glibc's own 128 KB are given back
and asked for again several times a run."""

_MAPPED_FROM: Final = -3
"""glibc's number for the setting (``M_MMAP_THRESHOLD`` in malloc.h)."""

_KEPT: Final = -1
"""glibc's number for the setting (``M_TRIM_THRESHOLD`` in malloc.h)."""

_POOLS: Final = -8
"""glibc's number for the setting (``M_ARENA_MAX`` in malloc.h)."""


def bound_pools(mapped_from: int = MAPPED_FROM_BYTES, kept: int = KEPT_BYTES) -> bool:
    """Let the C library keep few pools, each with room for the next run.

    Call before threads start. False: it cannot be told.

    Args:
        mapped_from: bytes of one array from which it is never kept; 32 MB at most.
        kept: freed bytes that each pool keeps.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    wanted = ((_POOLS, POOLS_MAX), (_MAPPED_FROM, mapped_from), (_KEPT, kept))
    return tell is not None and all(tell(*setting) for setting in wanted)


def return_freed_memory() -> bool:
    """Ask the C library to give back what it does not use; false where it cannot.

    Takes some milliseconds.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
