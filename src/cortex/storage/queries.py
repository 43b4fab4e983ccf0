"""Named SQL from files: ``-- name: insert_memory`` begins a query, the next ends it."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType

from cortex.storage.errors import StorageError

_NAME = re.compile(r"^--\s*name:\s*([a-z][a-z0-9_]*)\s*$")


class Queries(Mapping[str, str]):
    """The queries of one ``<package>/sql/<filename>.sql``, by name, in file order."""

    __slots__ = ("_by_name", "_origin")

    def __init__(self, by_name: Mapping[str, str], *, origin: str) -> None:
        """Keep the queries; ``origin`` names the file in errors."""
        self._by_name = MappingProxyType(dict(by_name))
        self._origin = origin

    @classmethod
    def load(cls, package: str, filename: str) -> "Queries":
        """Read ``<package>/sql/<filename>.sql``; the suffix may be left out.

        Raises:
            StorageError: the file is missing, or a name is given twice or has no SQL.
        """
        name = filename if filename.endswith(".sql") else f"{filename}.sql"
        origin = f"{package}/sql/{name}"
        resource = files(package).joinpath("sql", name)
        if not resource.is_file():
            raise StorageError(f"the query file {origin} is not in the package")
        return cls(parse(resource.read_text(encoding="utf-8"), origin), origin=origin)

    def __getitem__(self, name: str) -> str:
        """Return the SQL of one query, ready for bound parameters."""
        try:
            return self._by_name[name]
        except KeyError:
            message = f"{self._origin} has no query named {name!r}"
            raise StorageError(message) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return how many queries there are."""
        return len(self._by_name)


def parse(text: str, origin: str) -> dict[str, str]:
    """Split the text of a query file; text before the first name is commentary.

    Raises:
        StorageError: a name is given twice, or no SQL follows it.
    """
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        match = _NAME.match(line)
        if match is None:
            current.append(line)
            continue
        name = match.group(1)
        if name in sections:
            raise StorageError(f"{origin} names the query {name!r} twice")
        current = sections[name] = []
    queries = {name: _sql(lines) for name, lines in sections.items()}
    for name, sql in queries.items():
        if not sql:
            raise StorageError(f"{origin} has no SQL under the name {name!r}")
    return queries


def _sql(lines: list[str]) -> str:
    kept = [line for line in lines if not line.lstrip().startswith("--")]
    return "\n".join(kept).strip().removesuffix(";").rstrip()
