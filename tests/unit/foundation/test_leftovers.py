"""Old temporary files go, young ones and everything else stays."""

import os
from pathlib import Path

from cortex.foundation.garbage import collector_status
from cortex.foundation.leftovers import Leftovers
from cortex.testing.clock import ManualClock


def test_what_cut_off_work_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    clock = ManualClock()
    folder = tmp_path / "tmp"
    (folder / "upload").mkdir(parents=True)
    (folder / "upload" / "part").write_text("12345")
    (folder / "old").write_text("12345")
    (folder / "young").write_text("1")
    (tmp_path / "cortex.db").write_text("kept")
    old, young = clock.now() - 4_000, clock.now() - 10
    for path in (folder / "upload", folder / "old", tmp_path / "cortex.db"):
        os.utime(path, (old, old))
    os.utime(folder / "young", (young, young))
    places = ((folder, "*"), (tmp_path, ".doctor-*"), (tmp_path / "none", "*"))
    leftovers = Leftovers(places, clock=clock)
    assert leftovers.clean().files == 2
    assert [path.name for path in folder.iterdir()] == ["young"]
    assert (tmp_path / "cortex.db").exists()
    clock.advance(4_000)
    cleaned = leftovers.clean()
    assert (cleaned.files, cleaned.at) == (3, clock.now())


def test_a_link_is_removed_and_what_it_points_to_stays(tmp_path: Path) -> None:
    clock = ManualClock(4_000_000_000)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("kept")
    folder = tmp_path / "tmp"
    folder.mkdir()
    (folder / "link").symlink_to(elsewhere)
    assert Leftovers(((folder, "*"),), clock=clock).clean().files == 1
    assert (elsewhere / "file").exists()


def test_the_collector_tells_how_it_is_set() -> None:
    status = collector_status()
    assert len(status.thresholds) == len(status.collections) == 3
