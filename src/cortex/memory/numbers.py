"""The row numbers of namespaces and vector spaces, remembered once they are durable.

A number is only remembered after the commit that gave it: a unit that was undone would
leave a number behind that may later mean another tenant's namespace.
"""

from collections.abc import Iterable
from typing import Final

from cortex.foundation.tenancy import Namespace
from cortex.memory.sealing import NoSeals, Seals
from cortex.memory.writes import (
    Place,
    find_namespace,
    find_space,
    make_namespace,
    make_space,
)
from cortex.storage.sqlite import Connection, Database

NAMES_REMEMBERED_MAX: Final = 10_000
"""Namespaces whose number is remembered: about 2 MB; then all are looked up anew."""


class Numbers:
    """Finds the numbers of names, from memory where it can."""

    __slots__ = ("_database", "_namespaces", "_spaces", "seals")

    def __init__(self, database: Database, seals: Seals | None = None) -> None:
        """Look names up in this database, whose rows are sealed by ``seals``."""
        self.seals: Seals = NoSeals() if seals is None else seals
        self._database = database
        self._namespaces: dict[Namespace, int] = {}
        self._spaces: dict[str, int] = {}

    def namespace(self, ns: Namespace) -> int | None:
        """Return a namespace's number, None before its first memory; a short read."""
        known = self._namespaces.get(ns)
        if known is None:
            known = self._database.read_inline(lambda c: find_namespace(c, ns))
            if known is not None:
                self._remember(ns, known)
        return known

    def place(
        self, connection: Connection, ns: Namespace, spaces: Iterable[str], now: float
    ) -> Place:
        """Return where a unit writes, numbering new names as it does."""
        ns_id = self._namespaces.get(ns)
        if ns_id is None:
            ns_id = make_namespace(connection, ns)
        numbers = {}
        for space in spaces:
            known = self._spaces.get(space)
            numbers[space] = make_space(connection, space) if known is None else known
        return Place(ns_id, numbers, now, self.seals.writing(connection, ns.tenant))

    def learn(self, ns: Namespace, spaces: Iterable[str]) -> None:
        """Remember names whose numbers have been committed."""
        if ns not in self._namespaces:
            self.namespace(ns)
        for space in spaces:
            if space not in self._spaces:
                self._learn_space(space)

    def _learn_space(self, space: str) -> None:
        known = self._database.read_inline(lambda c: find_space(c, space))
        if known is not None:
            self._spaces[space] = known

    def _remember(self, ns: Namespace, number: int) -> None:
        if len(self._namespaces) >= NAMES_REMEMBERED_MAX:
            self._namespaces.clear()
        self._namespaces[ns] = number
