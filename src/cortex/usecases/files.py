"""Reading text files below registered roots, and nowhere else.

Every component of a path is opened relative to its parent without following links,
so a path cannot leave its root, not even by a link that is swapped in between.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from cortex.foundation.errors import NotFound, PermissionDenied, ValidationError
from cortex.usecases.model import FileEntry, FileListing, FileText

FILE_ENTRIES_MAX = 1000
"""Entries of one listing; a larger folder is cut and says so."""

PATH_CHARACTERS_MAX = 1024
"""Characters of a relative path."""


class Files:
    """Lists folders and reads the beginning of text files of the given roots."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        """Take the roots by name; none means nothing can be read."""
        self._roots = dict(roots)

    def names(self) -> Mapping[str, Path]:
        """Return the registered roots."""
        return dict(self._roots)

    async def list(self, root: str, path: str) -> FileListing:
        """Return the entries of a folder, by name.

        Raises:
            NotFound: no such root or folder.
            ValidationError: the path is absolute, climbs, or is too long.
            PermissionDenied: a link, or something the server may not read.
        """
        with self._opened(root, path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            with os.scandir(descriptor) as found:
                names = sorted(entry.name for entry in found)
            entries = tuple(
                _entry(descriptor, path, name) for name in names[:FILE_ENTRIES_MAX]
            )
        return FileListing(root, path, entries, len(names) > FILE_ENTRIES_MAX)

    async def read_text(self, root: str, path: str, num_bytes: int) -> FileText:
        """Return at most ``num_bytes`` bytes of a UTF-8 file, cut between characters.

        Raises:
            NotFound: no such root or file.
            ValidationError: a bad path, or the content is not UTF-8 text.
            PermissionDenied: a link, or something the server may not read.
        """
        with self._opened(root, path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise ValidationError("path is not a regular file", field="path")
            data = os.read(descriptor, num_bytes)
        text = _decoded(data, complete=len(data) == about.st_size)
        return FileText(
            root, path, text, about.st_size, len(data), len(data) < about.st_size
        )

    @contextmanager
    def _opened(self, root: str, path: str, flags: int) -> Iterator[int]:
        if root not in self._roots:
            raise NotFound("no root of that name is registered", root=root)
        descriptor = _open(self._roots[root], _parts(path), flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _parts(path: str) -> tuple[str, ...]:
    if len(path) > PATH_CHARACTERS_MAX:
        message = f"path must be at most {PATH_CHARACTERS_MAX} characters"
        raise ValidationError(message, field="path", limit=PATH_CHARACTERS_MAX)
    pure = PurePosixPath(path or ".")
    if pure.is_absolute() or ".." in pure.parts or "\0" in path:
        message = "path must be relative to its root and must not climb out of it"
        raise ValidationError(message, field="path")
    return pure.parts


def _open(root: Path, parts: tuple[str, ...], flags: int) -> int:
    try:
        current = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            mode = flags if last else os.O_RDONLY | os.O_DIRECTORY
            try:
                inner = os.open(part, mode | os.O_NOFOLLOW, dir_fd=current)
            finally:
                os.close(current)
            current = inner
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound("no such file or folder below that root") from error
    except OSError as error:
        raise PermissionDenied("that path is a link or cannot be read") from error
    return current


def _entry(descriptor: int, path: str, name: str) -> FileEntry:
    about = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    kinds = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    kind = kinds.get(stat.S_IFMT(about.st_mode), "other")
    relative = str(PurePosixPath(path or ".") / name)
    return FileEntry(name, relative, kind, about.st_size, about.st_mtime)


def _decoded(data: bytes, *, complete: bool) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A cut may fall inside one character; anything else is not text.
        if not complete and error.start >= len(data) - 3:
            return data[: error.start].decode("utf-8")
        raise ValidationError("the file is not UTF-8 text", field="path") from error
