"""Subjects' keys: none is used before the disk has it."""

import errno
import os
from pathlib import Path

import pytest

from cortex.ledger import subjects
from cortex.ledger.subjects import SubjectKeys


class Disk:
    """Counts syncs; fills up after some bytes where a test says so."""

    def __init__(self) -> None:
        self.syncs = 0
        self.room: int | None = None

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        self.syncs += 1

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "full")
        taken = data if self.room is None else data[: self.room]
        if self.room is not None:
            self.room -= len(taken)
        return os.pwrite(descriptor, taken, offset)

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def test_a_key_that_a_full_disk_cut_short_is_synced_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    monkeypatch.setattr(subjects, "os", disk)
    keys = SubjectKeys(tmp_path / "keys", entropy=os.urandom)
    disk.room = 100  # three keys and a bit
    with pytest.raises(OSError, match="full"):
        keys.ensure(0)
    assert disk.syncs == 0
    disk.room = None
    keys.ensure(0)
    first = keys.key(0)
    assert disk.syncs == 1
    keys.ensure(2)
    assert disk.syncs == 1
    keys.ensure(3)
    assert disk.syncs == 2
    assert keys.key(0) == first
    assert len({keys.key(slot) for slot in range(4)}) == 4
    keys.close()
    again = SubjectKeys(tmp_path / "keys", entropy=os.urandom)
    again.ensure(0)
    assert disk.syncs == 3, "whoever wrote it may not have come to sync it"
    assert again.key(0) == first
    again.close()
