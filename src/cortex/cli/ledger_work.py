"""What the commands change in the ledger of this machine: archive, restore, keys.

The ledger is opened as a server opens it; several processes may have it open.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import httpx

from cortex.bootstrap.archives import archive_at
from cortex.cli.tokens import OPERATOR
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Conflict, Unavailable, ValidationError
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.archive import Archive
from cortex.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from cortex.ledger.errors import EntryNotFound, NoteInvalid
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.notes import VerifierKey, decode64
from cortex.ledger.options import LedgerOptions
from cortex.ledger.upkeep import Moved
from cortex.ledger.witness import cosigned, request_for
from cortex.settings import load

T = TypeVar("T")

ATTACH_TRIES = 5
"""Heads offered to a witness while a busy server signs newer ones."""

WITNESS_SECONDS = 10.0
"""Wait for a witness, which writes to disk before it answers."""

EVERYTHING = 2**62
"""More entries than a log can hold."""


def archive_now(place: str, hot_seconds: float, warm_seconds: float) -> Moved:
    """Move what is older than that outwards, one step at a time.

    Raises:
        ValidationError: no archive is named, or the ages are out of order.
        CortexError: what is stored is not what was published; nothing is removed.
    """
    if warm_seconds < hot_seconds:
        message = "entries leave the database before they leave the disk"
        raise ValidationError(message, hint="Let --warm be --hot or more.")
    options = LedgerOptions(hot_seconds=hot_seconds, warm_seconds=warm_seconds)
    return _run(lambda ledger: ledger.upkeep.run(), _archive(place), options)


def restore_now(place: str, start: int, stop: int | None) -> int:
    """Bring archived entries back; return how many.

    Raises:
        ValidationError: no archive is named.
        CortexError: the archive lacks one, or gave back something else.
    """
    end = EVERYTHING if stop is None else stop
    return _run(lambda ledger: ledger.upkeep.restore(start, end), _archive(place))


def rotate_key() -> tuple[VerifierKey, ...]:
    """Let a new key sign beside the present one; return the keys, newest first.

    Raises:
        Conflict: the last rotation is not finished.
    """

    async def work(ledger: Ledger) -> tuple[VerifierKey, ...]:
        if len(ledger.keys.signers) > 1:
            message = "two keys sign already"
            raise Conflict(message, hint="Finish it: cortex ledger rotate --finish")
        await ledger.rotation.begin(OPERATOR, partial(ledger.append, published=True))
        return ledger.keys.verifier_keys

    return _run(work)


def finish_rotation() -> tuple[VerifierKey, ...]:
    """Destroy the old key, once heads are seen to carry the new one's signature.

    Raises:
        Conflict: no rotation is under way, or the servers still sign without it.
    """

    async def work(ledger: Ledger) -> tuple[VerifierKey, ...]:
        if len(ledger.keys.signers) < len(("new", "old")):
            message = "one key signs alone: no rotation is under way"
            raise Conflict(message, hint="Begin one: cortex ledger rotate")
        new = ledger.keys.signers[0].verifier_key
        try:
            open_checkpoint(ledger.checkpoint().encode(), new.name, (new,))
        except NoteInvalid as error:
            message = "the newest head is not signed by the new key"
            hint = "Restart the servers, and let one more head be signed."
            raise Conflict(message, hint=hint) from error
        await ledger.rotation.end_overlap()
        return ledger.keys.verifier_keys

    return _run(work)


def _archive(place: str) -> Archive:
    found = archive_at(place or load().settings.ledger_archive)
    if found is None:
        message = "no archive is named"
        hint = "Give --archive, or set CORTEX_LEDGER_ARCHIVE."
        raise ValidationError(message, hint=hint, field="archive")
    return found


def _run(
    work: Callable[[Ledger], Awaitable[T]],
    archive: Archive | None = None,
    options: LedgerOptions | None = None,
) -> T:
    return asyncio.run(_with_ledger(work, archive, options or LedgerOptions()))


async def _with_ledger(
    work: Callable[[Ledger], Awaitable[T]],
    archive: Archive | None,
    options: LedgerOptions,
) -> T:
    home, clock = load().settings.home_folder, SystemClock()
    database = home / "ledger" / "ledger.db"
    if not database.exists():
        # Opening would begin a new log, in a folder that was perhaps misspelt.
        message = f"there is no ledger at {database}"
        raise EntryNotFound(message, hint="Set CORTEX_HOME.")
    context = LedgerContext(clock, Uuid7Source(clock), archive=archive)
    pinned = replace(options, pins=home / "pins")
    ledger = await Ledger.open(home, context, pinned)
    try:
        return await work(ledger)
    finally:
        await ledger.close()


def cosign_head(url: str, keys: Sequence[VerifierKey]) -> SignedCheckpoint:
    """Let a witness cosign the newest head, and show it so.

    Raises:
        Unavailable: the witness cannot be reached, or is too slow for this log.
        Conflict: the witness knows another log, or has seen a later or another head.
        NoteInvalid: what it answered is not signed by one of ``keys``.
    """

    async def work(ledger: Ledger) -> SignedCheckpoint:
        for _ in range(ATTACH_TRIES):
            signed = await ledger.publish()
            told = await asyncio.to_thread(_ask_witness, ledger, url, signed)
            done = cosigned(signed, told, keys)
            if await ledger.attach(done):
                return done
        message = "the log grew faster than the witness answered"
        raise Unavailable(message, hint="Try again.")

    return _run(work)


def _ask_witness(ledger: Ledger, url: str, signed: SignedCheckpoint) -> bytes:
    """Return the witness's signature lines; it may first say where it stands."""
    old = signed.size
    for _ in range(2):
        path: tuple[bytes, ...] = ()
        if 0 < old < signed.size:
            path = tuple(
                decode64(item)
                for item in ledger.consistency_proof(old, signed.size).path
            )
        answer = _post(url, request_for(signed, old, path))
        if answer.status_code != HTTPStatus.CONFLICT:
            break
        old = int(answer.text)
        if old > signed.size:
            break
    if answer.status_code != HTTPStatus.OK:
        message = f"the witness refused with status {answer.status_code}"
        raise Conflict(message, hint=answer.text.strip()[:200])
    return answer.content


def _post(url: str, body: bytes) -> httpx.Response:
    try:
        return httpx.post(
            f"{url.rstrip('/')}/add-checkpoint", content=body, timeout=WITNESS_SECONDS
        )
    except httpx.HTTPError as error:
        message = f"the witness at {url} does not answer: {error}"
        raise Unavailable(message) from error
