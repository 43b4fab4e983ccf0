"""The key that a first start makes: whole or not there, and one for all workers."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cortex.bootstrap.keys import signing_key
from cortex.settings import Settings


def test_a_disk_without_room_leaves_no_half_of_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            signing_key(settings)
    assert list((tmp_path / "keys").iterdir()) == []
    key = signing_key(settings)
    assert key == signing_key(settings)
    file = tmp_path / "keys" / "signing.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_workers_that_start_together_have_one_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with ThreadPoolExecutor(8) as workers:
        keys = list(workers.map(lambda _: signing_key(settings), range(64)))
    assert len(set(keys)) == 1
    assert [one.name for one in (tmp_path / "keys").iterdir()] == ["signing.key"]
