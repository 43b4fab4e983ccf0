import os
from pathlib import Path

import pytest

from cortex.foundation.errors import NotFound, PermissionDenied, ValidationError
from cortex.usecases.files import FILE_ENTRIES_MAX, Files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "a.txt").write_text("häuser", encoding="utf-8")
    (folder / "raw.bin").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "outside").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def files(root: Path) -> Files:
    return Files({"docs": root})


async def test_a_folder_lists_its_entries_by_name(files: Files) -> None:
    listing = await files.list("docs", "")
    assert [(e.name, e.kind) for e in listing.entries] == [
        ("link", "link"),
        ("notes", "folder"),
        ("outside", "link"),
        ("pipe", "other"),
        ("raw.bin", "file"),
    ]
    assert not listing.truncated


async def test_a_large_folder_is_cut_and_says_so(files: Files, root: Path) -> None:
    for number in range(FILE_ENTRIES_MAX + 1):
        (root / "notes" / f"{number:05}").touch()
    listing = await files.list("docs", "notes")
    assert len(listing.entries) == FILE_ENTRIES_MAX
    assert listing.truncated


async def test_text_is_cut_between_characters(files: Files) -> None:
    found = await files.read_text("docs", "notes/a.txt", 2)
    assert found.text == "h"
    assert found.truncated
    whole = await files.read_text("docs", "notes/a.txt", 256)
    assert whole.text == "häuser"
    assert not whole.truncated


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "notes/../../x", "a\0b"]
)
async def test_a_path_that_climbs_is_refused_by_name(files: Files, path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        await files.read_text("docs", path, 256)
    assert refused.value.data["field"] == "path"


@pytest.mark.parametrize("path", ["link", "outside/secret.txt"])
async def test_links_are_never_followed(files: Files, path: str) -> None:
    with pytest.raises((PermissionDenied, NotFound)):
        await files.read_text("docs", path, 256)


@pytest.mark.parametrize("path", ["raw.bin", "notes", "pipe"])
async def test_only_utf8_text_files_are_read(files: Files, path: str) -> None:
    with pytest.raises(ValidationError):
        await files.read_text("docs", path, 256)


async def test_unknown_roots_and_files_are_not_found(files: Files) -> None:
    with pytest.raises(NotFound):
        await files.list("other", "")
    with pytest.raises(NotFound):
        await files.read_text("docs", "missing.txt", 256)
