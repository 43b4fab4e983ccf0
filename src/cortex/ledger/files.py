"""Files that appear whole or not at all."""

import os
from pathlib import Path

from cortex.storage.connections import sync_directory

_MODE = 0o600
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def write_file(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Give a file its content in one step, replacing what was there.

    Without ``sync`` it survives a crash of the process but not a power cut.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _create(partial, data, sync=sync)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def create_file(path: Path, data: bytes) -> bool:
    """Create a file durably; return False, changing nothing, if it exists."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _create(partial, data, sync=True)
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def read_file(path: Path) -> bytes | None:
    """Return a file's content, or None if there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def sync_file(path: Path) -> None:
    """Make a file's content survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path, data: bytes, *, sync: bool) -> None:
    try:
        descriptor = os.open(path, _CREATE, _MODE)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, _CREATE, _MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
