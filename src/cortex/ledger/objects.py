"""Object storage as the archive needs it: put once, get, list."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cortex.foundation.errors import ValidationError
from cortex.ledger.errors import ObjectExists, ObjectMissing
from cortex.ledger.files import create_file, read_file


class ObjectStore(Protocol):
    """A place for objects that are written once and never changed."""

    def put(self, key: str, data: bytes) -> None:
        """Store an object durably; the same bytes again are no error.

        Raises:
            ObjectExists: other bytes lie there under that key.
            ArchiveUnreachable: the store does not answer, or refuses.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return an object.

        Raises:
            ObjectMissing: there is none of that key.
            ArchiveUnreachable: the store does not answer, or refuses.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, in order."""
        ...


def key_parts(key: str) -> list[str]:
    """Return the elements of a key.

    Raises:
        ValidationError: an element is empty, or would lead out of the folder.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValidationError(f"{key!r} is no object key", field="key")
    return parts


class FolderObjects:
    """Objects as files below a folder."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made at the first put."""
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Store an object durably; the same bytes again are no error."""
        path = self._path(key)
        if not create_file(path, data) and read_file(path) != data:
            raise ObjectExists(f"the archive holds other bytes under {key}", key=key)

    def get(self, key: str) -> bytes:
        """Return an object."""
        data = read_file(self._path(key))
        if data is None:
            raise ObjectMissing(f"the archive has no object {key}", key=key)
        return data

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, in order."""
        found = (
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*")
            if path.is_file() and not path.name.endswith(".partial")
        )
        yield from sorted(key for key in found if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        return self._folder.joinpath(*key_parts(key))


class MemoryObjects:
    """Objects in memory, for tests."""

    def __init__(self) -> None:
        """Start empty."""
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        """Store an object; the same bytes again are no error."""
        if self._objects.setdefault(key, data) != data:
            raise ObjectExists(f"the archive holds other bytes under {key}", key=key)

    def get(self, key: str) -> bytes:
        """Return an object."""
        if key not in self._objects:
            raise ObjectMissing(f"the archive has no object {key}", key=key)
        return self._objects[key]

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, in order."""
        yield from sorted(key for key in self._objects if key.startswith(prefix))
