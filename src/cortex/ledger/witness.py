"""A witness (c2sp.org/tlog-witness): cosigns heads of logs that only ever grow.

It keeps, for each log it knows, the last head it cosigned, and signs a later one only
with a proof that it extends that one. Checking and keeping happen under one lock, and
the new head is on disk before the cosignature leaves.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cortex.foundation.canonical import sha256_hex
from cortex.foundation.clock import Clock
from cortex.ledger.checkpoint import (
    SIZE_MAX,
    SignedCheckpoint,
    parse_checkpoint,
    parse_text,
)
from cortex.ledger.cosignatures import Cosigner, cosigned_at
from cortex.ledger.errors import NoteInvalid, ProofInvalid
from cortex.ledger.files import read_file, write_file
from cortex.ledger.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from cortex.ledger.notes import (
    NOTE_BYTES_MAX,
    Note,
    VerifierKey,
    decode64,
    encode64,
    open_note,
    parse_signatures,
)

PROOF_LINES_MAX = 63
"""Hashes a request may hold, by the protocol."""

REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 64 * 64
"""Bytes of a request: a note and a proof."""

SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness answers over HTTP.

    Attributes:
        status: HTTP status.
        body: the cosignatures, the size it is at, or a sentence.
        content_type: type of the body.
    """

    status: int
    body: str
    content_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A parsed request.

    Attributes:
        old_size: the size that the client believes the witness is at.
        proof: consistency proof from there.
        note: the checkpoint's bytes.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the request's body."""
        lines = [f"old {self.old_size}", *(encode64(item) for item in self.proof)]
        return "\n".join([*lines, "", ""]).encode() + self.note


def parse_request(body: bytes) -> AddCheckpoint:
    """Read an add-checkpoint request.

    Raises:
        NoteInvalid: it is malformed.
    """
    head, blank, note = body.partition(b"\n\n")
    if not blank or len(body) > REQUEST_BYTES_MAX:
        raise NoteInvalid("a request holds a proof, a blank line and a checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise NoteInvalid("the head of a request is ASCII text") from error
    match = _OLD.fullmatch(first)
    if match is None or int(match[1]) > SIZE_MAX or len(lines) > PROOF_LINES_MAX:
        raise NoteInvalid("a request begins with the old size and at most 63 hashes")
    proof = tuple(decode64(line) for line in lines)
    if any(len(item) != HASH_BYTES for item in proof):
        raise NoteInvalid(f"a hash has {HASH_BYTES} bytes")
    return AddCheckpoint(int(match[1]), proof, note)


class Witness:
    """Cosigns checkpoints of the logs it was told of."""

    def __init__(
        self,
        folder: Path,
        cosigner: Cosigner,
        logs: Mapping[str, Sequence[VerifierKey]],
        clock: Clock,
    ) -> None:
        """Take where the state lies, the key, and the keys of each known origin."""
        self._folder = folder
        self._cosigner = cosigner
        self._logs = logs
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one request; blocks for the time of a disk write.

        Raises:
            OSError: the state could not be kept; nothing was signed.
        """
        try:
            request = parse_request(body)
            signed = parse_checkpoint(request.note)
        except NoteInvalid as error:
            return Answer(400, f"{error.message}\n")
        origin = signed.checkpoint.origin
        keys = self._logs.get(origin)
        if keys is None:
            return Answer(404, "this witness does not know that log\n")
        try:
            open_note(request.note, keys)
        except NoteInvalid as error:
            return Answer(403, f"{error.message}\n")
        if request.old_size > signed.size:
            return Answer(400, "the old size is beyond the checkpoint's\n")
        with self._turn(origin):
            return self._decide(request, signed)

    def latest(self, origin: str) -> SignedCheckpoint | None:
        """Return the last head cosigned for a log, or None."""
        data = read_file(self._state(origin))
        return None if data is None else parse_checkpoint(data)

    def _decide(self, request: AddCheckpoint, signed: SignedCheckpoint) -> Answer:
        last = self.latest(signed.checkpoint.origin)
        size = 0 if last is None else last.size
        if request.old_size != size:
            return Answer(409, f"{size}\n", SIZE_TYPE)
        if size == signed.size and last is not None and last.root != signed.root:
            return Answer(409, f"{size}\n", SIZE_TYPE)
        try:
            _check_growth(last, signed, request.proof)
        except ProofInvalid as error:
            return Answer(422, f"{error.message}\n")
        line = self._cosigner.cosign(signed, int(self._clock.now()))
        # Only what was verified is kept: the head with the log's own signatures.
        write_file(self._state(signed.checkpoint.origin), request.note)
        return Answer(200, line.line())

    def _state(self, origin: str) -> Path:
        return self._folder / f"{sha256_hex(origin.encode())}.checkpoint"

    @contextmanager
    def _turn(self, origin: str) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._state(origin).with_suffix(".lock")
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def cosigned(
    signed: SignedCheckpoint, answer: bytes, keys: Sequence[VerifierKey]
) -> SignedCheckpoint:
    """Return the head with those cosignatures of an answer that known keys made.

    Raises:
        NoteInvalid: the answer is malformed, or no known witness signed.
    """
    good = [
        line
        for line in parse_signatures(answer)
        if any(cosigned_at(signed, line, key) is not None for key in keys)
    ]
    if not good:
        raise NoteInvalid("no known witness cosigned this head", reason="unknown_key")
    known = [line for line in signed.note.signatures if line not in good]
    note = Note(signed.note.text, (*known, *good))
    return SignedCheckpoint(parse_text(note.text), note)


def request_for(
    signed: SignedCheckpoint, old_size: int, proof: Sequence[bytes]
) -> bytes:
    """Return the body of a request to a witness that is at ``old_size``."""
    return AddCheckpoint(old_size, tuple(proof), signed.encode()).encode()


def _check_growth(
    last: SignedCheckpoint | None, signed: SignedCheckpoint, proof: Sequence[bytes]
) -> None:
    if last is None or last.size == 0:
        # From nothing there is nothing to prove; a proof would be noise.
        if proof:
            raise ProofInvalid("from size 0 the proof is empty", field="proof")
        if signed.size == 0 and signed.root != EMPTY_ROOT:
            raise ProofInvalid("the empty tree has one root", field="proof")
        return
    verify_consistency(last.size, signed.size, last.root, signed.root, proof)
