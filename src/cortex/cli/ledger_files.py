"""The ledger of this machine as files: read without a server, running or not."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cortex.bootstrap.archives import archive_at
from cortex.cli.command import in_words
from cortex.foundation.errors import CortexError
from cortex.ledger.checkpoint import SignedCheckpoint, parse_checkpoint
from cortex.ledger.entry import parse_leaf
from cortex.ledger.errors import EntryNotFound, KeyUnusable, NoteInvalid
from cortex.ledger.keys import read_verifier_keys
from cortex.ledger.merkle import inclusion_proof
from cortex.ledger.notes import VerifierKey
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerPaths
from cortex.ledger.pinned import Pinned, pinned_from
from cortex.ledger.pins import PinFolder
from cortex.ledger.policy import Policy, parse_policy
from cortex.ledger.proof import LogProof, parse_proof, verify_proof
from cortex.ledger.stored import StoredLedger
from cortex.ledger.tilestore import TileStore
from cortex.ledger.verdicts import Finding, Reason, Verification
from cortex.ledger.verify import Request, conclude
from cortex.ledger.walk import BodyMissing
from cortex.settings import load
from cortex.storage.options import DatabaseOptions
from cortex.storage.readers import ReaderPool


@dataclass(frozen=True, slots=True)
class Trusted:
    """What a verification trusts: files from outside the ledger, if given.

    Attributes:
        head: a signed head that was kept elsewhere.
        key: the log's verifier keys.
        policy: which witnesses must have cosigned.
    """

    head: Path | None = None
    key: Path | None = None
    policy: Path | None = None


@dataclass(frozen=True, slots=True)
class LedgerFiles:
    """Where the files lie.

    Attributes:
        paths: the ledger itself.
        pins: the second place, where keys and heads are pinned.
        archive: folder or URL of old bundles, or empty.
    """

    paths: LedgerPaths
    pins: PinFolder
    archive: str = ""

    def start(self, trusted: Trusted) -> Pinned | None:
        """Return what a verification starts from; None when nothing is pinned.

        Raises:
            CortexError, OSError: a file is malformed, or not there.
        """
        pinned = None
        if trusted.key is None or trusted.head is None:
            pinned = self.pins.read()
        keys = self._keys(trusted, pinned)
        if not keys:
            return None
        trail = () if pinned is None else pinned.trail
        if trusted.head is not None:
            return pinned_from(keys, trusted.head.read_bytes(), trail)
        return pinned_from(keys, self.pins.head_note(), trail)

    def verify(
        self, trusted: Trusted, *, since: int, deep: bool, show_progress: bool
    ) -> Verification:
        """Verify what lies in the files; what cannot be read is a verdict, too."""
        try:
            pinned = self.start(trusted)
            policy = read_policy(trusted.policy)
            archive = archive_at(self.archive)
        except (CortexError, OSError) as error:
            return conclude([Finding(Reason.PIN_UNUSABLE, None, in_words(error))])
        begin = 0 if pinned is None else _trusted_size(pinned, since)
        request = Request(since=begin, deep=deep, policy=policy)
        total = None if pinned is None or pinned.head is None else pinned.head.size
        with progress(total, visible=show_progress) as told:
            request = replace(request, progress=told)
            return verify_folder(self.paths, pinned, request, archive)

    def checkpoint(self) -> SignedCheckpoint:
        """Return the published head, as it lies there.

        Raises:
            EntryNotFound: there is none.
            NoteInvalid: it is malformed.
        """
        data = TileStore(self.paths.tiles).checkpoint()
        if data is None:
            message = f"there is no checkpoint in {self.paths.tiles}"
            raise EntryNotFound(
                message, hint="Start a server once, or set CORTEX_HOME."
            )
        return parse_checkpoint(data)

    def head_text(self) -> str:
        """Return the published head's note, empty where there is none to be read."""
        try:
            return self.checkpoint().encode().decode()
        except (EntryNotFound, NoteInvalid):
            return ""

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """Return the pinned verifier keys.

        Raises:
            KeyUnusable: none are pinned, or the file is malformed.
        """
        pinned = self.pins.read()
        if pinned is None:
            message = f"no verifier key is pinned in {self.pins.folder}"
            raise KeyUnusable(message, hint="Start a server once, or set CORTEX_HOME.")
        return pinned.keys

    def leaf(self, index: int) -> bytes:
        """Return the exact bytes of one entry.

        Raises:
            EntryNotFound: there is none, or it is out of reach.
        """
        with self.stored() as stored:
            try:
                return stored.leaf(index)
            except (BodyMissing, IndexError) as error:
                message = f"there is no entry {index} here: {error}"
                raise EntryNotFound(message, index=index) from error

    def prove(self, index: int) -> tuple[bytes, bytes]:
        """Return a receipt for an entry, and the entry, once they were checked.

        Raises:
            EntryNotFound: no head covers such an entry.
            CortexError: what is stored does not prove it.
        """
        signed, tiles = self.checkpoint(), TileStore(self.paths.tiles)
        if not 0 <= index < signed.size:
            message = f"no checkpoint covers an entry {index}"
            raise EntryNotFound(message, index=index, size=signed.size)
        size = signed.size
        path = inclusion_proof(
            index, size, lambda level, at: tiles.node(size, level, at)
        )
        receipt = LogProof(index, tuple(path), signed).encode()
        entry, keys = self.leaf(index), self.verifier_keys()
        verify_proof(receipt, entry, keys[0].name, keys)
        return receipt, entry

    def leaves(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index, leaf) of all entries from ``start`` on.

        Raises:
            EntryNotFound: one is missing, or lies in an archive out of reach.
        """
        with self.stored() as stored:
            try:
                for rows in stored.rows(start):
                    yield from rows
            except BodyMissing as error:
                raise EntryNotFound(error.finding.detail) from error

    @contextmanager
    def stored(self) -> Iterator[StoredLedger]:
        """Open the ledger for reading.

        Raises:
            EntryNotFound: there is none.
        """
        if not self.paths.database.exists():
            message = f"there is no ledger at {self.paths.database}"
            raise EntryNotFound(message, hint="Set CORTEX_HOME.")
        pool = ReaderPool(self.paths.database, DatabaseOptions())
        try:
            tiles = TileStore(self.paths.tiles)
            yield StoredLedger(pool.run, tiles, archive_at(self.archive))
        finally:
            pool.close()

    def _keys(self, trusted: Trusted, pinned: Pinned | None) -> tuple[VerifierKey, ...]:
        if trusted.key is not None:
            return read_verifier_keys(trusted.key.read_bytes())
        if pinned is not None:
            return pinned.keys
        policy = read_policy(trusted.policy)
        if policy is None or not policy.logs:
            return ()
        return tuple(key for key in policy.logs if key.name == policy.logs[0].name)


def ledger_files(archive: str = "") -> LedgerFiles:
    """Return the ledger of this machine's settings; an archive given wins."""
    settings = load().settings
    home = settings.home_folder
    return LedgerFiles(
        LedgerPaths.below(home),
        PinFolder(home / "pins"),
        archive or settings.ledger_archive,
    )


def read_policy(path: Path | None) -> Policy | None:
    """Return the policy in a file, None without one.

    Raises:
        PolicyInvalid: it breaks the format.
    """
    return None if path is None else parse_policy(path.read_bytes())


def check_receipt(receipt: bytes, entry: bytes, trusted: Trusted) -> LogProof:
    """Check a receipt with nothing but keys: no ledger is needed.

    Raises:
        ProofInvalid: it does not show that entry.
        NoteInvalid: its head is not signed by a trusted key, or lacks witnesses.
        KeyUnusable, PolicyInvalid: what to trust cannot be read, or is nothing.
    """
    policy = read_policy(trusted.policy)
    keys: tuple[VerifierKey, ...] = () if policy is None else policy.logs
    if trusted.key is not None:
        keys = read_verifier_keys(trusted.key.read_bytes())
    if not keys:
        message = "a receipt is checked against a verifier key"
        raise KeyUnusable(message, hint="Name one with --key or --policy.")
    origin = parse_proof(receipt).checkpoint.checkpoint.origin
    own = [key for key in keys if key.name == origin] or list(keys)
    proof = verify_proof(receipt, entry, own[0].name, own)
    if policy is not None and not policy.is_met(proof.checkpoint):
        raise NoteInvalid("its head lacks the witnesses that the policy asks for")
    return proof


def told_entry(index: int, leaf: bytes) -> Mapping[str, Any]:
    """Return an entry for people: its place, its time, and what it says."""
    parsed = parse_leaf(leaf)
    return {"index": index, "recorded_at": parsed.time, **parsed.event}


@contextmanager
def progress(total: int | None, *, visible: bool) -> Iterator[Callable[[int], None]]:
    """Show how many entries were checked, on standard error."""
    bar = Progress(
        TextColumn("verifying"),
        BarColumn(),
        TextColumn("{task.completed:,} entries"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not visible,
    )
    with bar:
        task = bar.add_task("entries", total=total)
        yield lambda done: bar.update(task, completed=done)


def _trusted_size(pinned: Pinned, since: int) -> int:
    """Return the largest pinned size up to ``since``: from there on all is read."""
    sizes = {head.size for head in pinned.trail}
    if pinned.head is not None:
        sizes.add(pinned.head.size)
    return max((size for size in sizes if size <= since), default=0)
