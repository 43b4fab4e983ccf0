"""Giving freed memory back to the system after a bulk of work.

Loading 100 000 memories goes through some hundred megabytes of short-lived arrays. The
C library keeps freed memory for itself, and the process would look, to whoever limits
it, as large as at its peak.
"""

import ctypes


def return_freed_memory() -> bool:
    """Ask the C library to give back what it does not use; false where it cannot.

    Takes some milliseconds. Only glibc knows how (``malloc_trim``).
    """
    library = ctypes.CDLL(None)
    trim = getattr(library, "malloc_trim", None)
    return trim is not None and bool(trim(0))
