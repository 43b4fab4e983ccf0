"""Verifies a ledger's folder without opening it for writing, running or not."""

from dataclasses import replace
from pathlib import Path

from cortex.foundation.errors import CortexError
from cortex.ledger import store
from cortex.ledger.archive import Archive
from cortex.ledger.errors import NoteInvalid
from cortex.ledger.options import LedgerPaths
from cortex.ledger.pinned import Pinned
from cortex.ledger.snapshots import SnapshotFolder, Tally
from cortex.ledger.stored import Read, StoredLedger
from cortex.ledger.tilestore import TileStore
from cortex.ledger.verdicts import Finding, Reason, Verdict, Verification
from cortex.ledger.verify import Request, conclude, verify
from cortex.storage.options import DatabaseOptions
from cortex.storage.readers import ReaderPool


def verify_folder(
    paths: LedgerPaths,
    pinned: Pinned | None,
    request: Request | None = None,
    archive: Archive | None = None,
) -> Verification:
    """Verify the ledger that lies in a folder; never raises for what it holds."""
    if not paths.database.exists():
        return _nothing(paths.database, pinned)
    pool = ReaderPool(paths.database, DatabaseOptions())
    try:
        return verify_stored(pool.run, paths, pinned, request, archive)
    finally:
        pool.close()


def verify_stored(
    read: Read,
    paths: LedgerPaths,
    pinned: Pinned | None,
    request: Request | None = None,
    archive: Archive | None = None,
) -> Verification:
    """Verify a ledger through a way to read its database."""
    log = StoredLedger(read, TileStore(paths.tiles), archive)
    try:
        result = verify(log, pinned, request)
        if pinned is None:
            return result
        recount = request is not None and request.deep
        forged = check_snapshots(read, paths, pinned, recount=recount)
    except CortexError as error:
        return conclude([Finding(Reason.STORE_UNREADABLE, None, error.message)])
    if not forged or result.verdict is Verdict.TAMPERED:
        return replace(result, findings=(*result.findings, *forged))
    first = forged[0]
    return replace(
        result,
        verdict=first.verdict,
        reason=first.reason,
        detail=first.detail,
        findings=(*forged, *result.findings),
    )


def check_snapshots(
    read: Read, paths: LedgerPaths, pinned: Pinned, *, recount: bool
) -> list[Finding]:
    """Return which snapshots are not what the log's key signed, or miscount."""
    folder = SnapshotFolder(paths.snapshots, pinned.origin)
    findings = []
    for size in folder.sizes():
        try:
            snapshot = folder.read(size, pinned.keys)
        except NoteInvalid as error:
            detail = f"the snapshot at {size} entries: {error.message}"
            findings.append(Finding(Reason.SNAPSHOT_FORGED, None, detail))
            continue
        root = read(lambda connection, at=size: store.head_root(connection, at))  # type: ignore[misc]
        if root is not None and root != snapshot.root:
            detail = f"the snapshot at {size} entries names another tree"
            findings.append(Finding(Reason.SNAPSHOT_FORGED, None, detail))
        elif recount and _counts(read, size) != snapshot.tally.entries:
            detail = f"the snapshot at {size} entries does not count what is stored"
            findings.append(Finding(Reason.SNAPSHOT_FORGED, None, detail))
    return findings


def _counts(read: Read, size: int) -> dict[str, int]:
    tally = Tally()
    tally.add(read(lambda connection: store.stats(connection, 0, size)), size)
    return tally.entries


def _nothing(path: Path, pinned: Pinned | None) -> Verification:
    if pinned is None:
        return conclude([Finding(Reason.NO_KEY, None, "no verifier key is pinned")])
    signed = 0 if pinned.head is None else pinned.head.size
    detail = f"there is no ledger at {path}"
    if signed:
        finding = Finding(Reason.TRUNCATED, 0, f"{detail}; {signed} were signed")
        return conclude([finding], signed_size=signed, pinned=True)
    return conclude([Finding(Reason.NO_HEAD, None, detail)])
