"""Signed snapshots of what is derived from the log, so that a start need not read it.

A snapshot names a head that was signed and carries the counts up to it. It is used only
if a trusted key signed it and the head it names is one that the log signed; what came
after is counted from the entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from cortex.foundation.canonical import canonical_json, sha256_hex
from cortex.ledger.errors import NoteInvalid
from cortex.ledger.files import read_file, write_file
from cortex.ledger.merkle import HASH_BYTES
from cortex.ledger.model import AgentStats, LedgerStats
from cortex.ledger.notes import (
    Signer,
    VerifierKey,
    decode64,
    encode64,
    open_note,
    sign_note,
)

HEADER = "cortex-snapshot/v1"
SNAPSHOTS_KEPT = 3
"""Snapshots kept: the newest may be torn, the one before it is whole."""

_LINES = 5


@dataclass(slots=True)
class Tally:
    """Counts over the first ``size`` entries.

    Attributes:
        size: entries counted.
        entries: number of entries of each tenant.
        agents: counts of each tenant's agents.
    """

    size: int = 0
    entries: dict[str, int] = field(default_factory=dict)
    agents: dict[str, dict[str, AgentStats]] = field(default_factory=dict)

    def add(
        self,
        rows: Sequence[tuple[str, bool, str, int, int, int, float]],
        size: int,
    ) -> None:
        """Add the counts of the entries that follow, up to ``size``."""
        for tenant, is_call, agent, count, failed, timed, latency in rows:
            self.entries[tenant] = self.entries.get(tenant, 0) + count
            if not is_call:
                continue
            agents = self.agents.setdefault(tenant, {})
            known = agents.get(agent, AgentStats())
            agents[agent] = AgentStats(
                known.calls + count,
                known.failed + failed,
                known.timed + timed,
                known.latency_ms_sum + latency,
            )
        self.size = size

    def of(self, tenant: str) -> LedgerStats:
        """Return one tenant's numbers."""
        agents = dict(self.agents.get(tenant, {}))
        calls = sum(agent.calls for agent in agents.values())
        failed = sum(agent.failed for agent in agents.values())
        timed = sum(agent.timed for agent in agents.values())
        latency = sum(agent.latency_ms_sum for agent in agents.values())
        return LedgerStats(
            total_entries=self.entries.get(tenant, 0),
            calls=calls,
            agents=agents,
            success_rate=(calls - failed) / calls if calls else None,
            avg_latency_ms=latency / timed if timed else None,
        )

    def encode(self) -> bytes:
        """Return the counts as canonical JSON."""
        agents = {
            tenant: {
                name: [one.calls, one.failed, one.timed, one.latency_ms_sum]
                for name, one in of_tenant.items()
            }
            for tenant, of_tenant in self.agents.items()
        }
        return canonical_json(
            {"agents": agents, "entries": self.entries, "size": self.size}
        )

    @classmethod
    def decode(cls, data: bytes) -> "Tally":
        """Read such counts.

        Raises:
            NoteInvalid: they are malformed.
        """
        try:
            state = orjson.loads(data)
            agents = {
                tenant: {name: AgentStats(*one) for name, one in of_tenant.items()}
                for tenant, of_tenant in state["agents"].items()
            }
            return cls(int(state["size"]), dict(state["entries"]), agents)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NoteInvalid("the snapshot's state is malformed") from error


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that a trusted key signed.

    Attributes:
        size: entries of the head it names.
        root: root of that head.
        tally: the counts up to it.
    """

    size: int
    root: bytes
    tally: Tally


class SnapshotFolder:
    """Snapshots as files: ``<size>.note`` with its ``<size>.json``."""

    def __init__(self, folder: Path, origin: str) -> None:
        """Name the folder and the log the snapshots must be of."""
        self._folder = folder
        self._origin = origin

    def write(self, tally: Tally, root: bytes, signers: Sequence[Signer]) -> None:
        """Sign and keep a snapshot; the oldest beyond a few are deleted."""
        state = tally.encode()
        lines = (
            HEADER,
            self._origin,
            str(tally.size),
            encode64(root),
            sha256_hex(state),
        )
        text = "".join(f"{line}\n" for line in lines).encode()
        note = sign_note(text, signers).encode()
        write_file(self._folder / f"{tally.size}.json", state)
        write_file(self._folder / f"{tally.size}.note", note)
        for size in self.sizes()[:-SNAPSHOTS_KEPT]:
            (self._folder / f"{size}.note").unlink(missing_ok=True)
            (self._folder / f"{size}.json").unlink(missing_ok=True)

    def sizes(self) -> list[int]:
        """Return the sizes of the snapshots there are, the smallest first."""
        names = (path.stem for path in self._folder.glob("*.note"))
        return sorted(int(name) for name in names if name.isdecimal())

    def read(self, size: int, keys: Sequence[VerifierKey]) -> Snapshot:
        """Return a snapshot after checking its signature, origin and state.

        Raises:
            NoteInvalid: it is not a snapshot of this log by a trusted key.
        """
        note_bytes = read_file(self._folder / f"{size}.note") or b""
        state = read_file(self._folder / f"{size}.json") or b""
        note, _ = open_note(note_bytes, keys)
        lines = note.text.decode().split("\n")[:-1]
        expected = [HEADER, self._origin, str(size)]
        if len(lines) != _LINES or lines[:3] != expected:
            raise NoteInvalid("this is no snapshot of this log", field="snapshot")
        root = decode64(lines[3])
        tally = Tally.decode(state)
        good = len(root) == HASH_BYTES and tally.size == size
        if not good or lines[4] != sha256_hex(state):
            message = "the snapshot's state is not what was signed"
            raise NoteInvalid(message, field="snapshot")
        return Snapshot(size, root, tally)
