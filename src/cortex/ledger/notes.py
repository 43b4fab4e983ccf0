"""Signed notes (c2sp.org/signed-note): text that carries its signatures (pure).

Parsing is strict: one byte string has one meaning, and a note that could be read in
two ways is refused. Three kinds of signature are understood: Ed25519 over the text
(type 1), and the two timestamped cosignatures of c2sp.org/tlog-cosignature, Ed25519
(type 4) and ML-DSA-44 (type 6).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cortex.ledger.errors import KeyUnusable, NoteInvalid

NOTE_BYTES_MAX = 1_000_000
"""Bytes of a note: room for 64 post-quantum signatures of 5 kB and more."""

SIGNATURES_MAX = 64
"""Signatures on one note; the format asks for at least 16."""

KEY_ID_BYTES = 4
ED25519 = 1
COSIGNATURE_ED25519 = 4
COSIGNATURE_ML_DSA_44 = 6
PUBLIC_KEY_BYTES = {ED25519: 32, COSIGNATURE_ED25519: 32, COSIGNATURE_ML_DSA_44: 1312}
"""Length of the public key of each type that is understood, in bytes."""

_DASH = "— "
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class Signer(Protocol):
    """Something that signs the text of a note."""

    @property
    def name(self) -> str:
        """Return the key's name."""
        ...

    @property
    def verifier_key(self) -> "VerifierKey":
        """Return the public half."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the signature over the note's text."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line.

    Attributes:
        name: the key's name.
        key_id: four bytes that tell keys of one name apart.
        value: the signature itself, without the key id.
    """

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {encode64(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; nothing is verified yet.

    Attributes:
        text: what is signed, ending in a newline.
        signatures: the lines below it, in order.
    """

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Return the note's bytes."""
        lines = "".join(signature.line() for signature in self.signatures)
        return self.text + b"\n" + lines.encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name, as a verifier pins it.

    Attributes:
        name: the key's name.
        kind: the signature type byte.
        public: the encoded public key.
    """

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that stand for this key in a signature line."""
        return key_id(self.name, self.kind, self.public)

    def encode(self) -> str:
        """Return the ``name+id+key`` form (a vkey)."""
        key = encode64(bytes([self.kind]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def decode(cls, text: str) -> "VerifierKey":
        """Read a vkey.

        Raises:
            KeyUnusable: the form, the id or the key itself is wrong.
        """
        name, _, rest = text.partition("+")
        hex_id, _, encoded = rest.partition("+")
        if not is_key_name(name) or not _KEY_ID.fullmatch(hex_id):
            raise KeyUnusable("a verifier key reads name+id+key", field="vkey")
        try:
            data = decode64(encoded)
        except NoteInvalid as error:
            raise KeyUnusable(error.message, field="vkey") from error
        kind = data[0] if data else 0
        if len(data) - 1 != PUBLIC_KEY_BYTES.get(kind, -1):
            message = f"a verifier key of type {kind} with {len(data)} bytes is unknown"
            raise KeyUnusable(message, field="vkey")
        key = cls(name, kind, data[1:])
        if key.key_id.hex() != hex_id:
            raise KeyUnusable("the verifier key does not match its id", field="vkey")
        return key


class Ed25519Signer:
    """Signs notes with an Ed25519 key (type 1)."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        """Take the key and the name it signs under."""
        if not is_key_name(name):
            message = f"{name!r} cannot name a key: no spaces and no plus"
            raise KeyUnusable(message, field="name")
        self._name = name
        self._private = private

    @property
    def name(self) -> str:
        """Return the key's name."""
        return self._name

    @property
    def verifier_key(self) -> VerifierKey:
        """Return the public half."""
        return VerifierKey(self._name, ED25519, public_bytes(self._private))

    def sign(self, text: bytes) -> bytes:
        """Return the Ed25519 signature (RFC 8032) over the text."""
        return self._private.sign(text)


def public_bytes(private: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of the public key."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the recommended key id: a hash over name, type and key, cut short."""
    material = name.encode() + b"\n" + bytes([kind]) + public
    return hashlib.sha256(material).digest()[:KEY_ID_BYTES]


def is_key_name(name: str) -> bool:
    """Return whether a key may have this name."""
    return bool(name) and "+" not in name and not any(c.isspace() for c in name)


def encode64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode64(text: str) -> bytes:
    """Read standard base64, refusing every spelling but the canonical one.

    Raises:
        NoteInvalid: a foreign character, wrong padding or stray bits at the end.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteInvalid("this is not base64", field="note") from error
    if encode64(data) != text:
        raise NoteInvalid("this base64 is not in canonical form", field="note")
    return data


def sign_note(text: bytes, signers: Sequence[Signer]) -> Note:
    """Return the note over ``text`` with one signature of each signer.

    Raises:
        NoteInvalid: the text does not end in a newline or holds control characters.
    """
    _check_text(text)
    signatures = tuple(
        Signature(signer.name, signer.verifier_key.key_id, signer.sign(text))
        for signer in signers
    )
    return Note(text, signatures)


def parse_note(data: bytes) -> Note:
    """Read a note without verifying it.

    Raises:
        NoteInvalid: any departure from the format.
    """
    if len(data) > NOTE_BYTES_MAX:
        message = f"a note has at most {NOTE_BYTES_MAX} bytes"
        raise NoteInvalid(message, field="note", limit=NOTE_BYTES_MAX)
    cut = data.rfind(b"\n\n")
    if cut < 0:
        raise NoteInvalid("a note has a blank line before its signatures", field="note")
    text, tail = data[: cut + 1], data[cut + 2 :]
    _check_text(text)
    return Note(text, parse_signatures(tail))


def parse_signatures(data: bytes) -> tuple[Signature, ...]:
    """Read one or more signature lines.

    Raises:
        NoteInvalid: there is none, or one is malformed.
    """
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteInvalid("a note is UTF-8 text", field="note") from error
    if lines.pop() != "" or not lines:
        message = "a note ends in signature lines, each with a newline"
        raise NoteInvalid(message, field="note")
    if len(lines) > SIGNATURES_MAX:
        message = f"a note has at most {SIGNATURES_MAX} signatures"
        raise NoteInvalid(message, field="note", limit=SIGNATURES_MAX)
    return tuple(_parse_line(line) for line in lines)


def open_note(data: bytes, keys: Sequence[VerifierKey]) -> tuple[Note, list[Signature]]:
    """Read a note and return it with the signatures that known keys verify.

    Signatures of unknown keys are passed over; cosignatures are judged elsewhere
    (``cortex.ledger.cosignatures``), since they sign more than the text.

    Raises:
        NoteInvalid: malformed, a known key's signature is wrong or stands twice, or
            no known key signed.
    """
    note = parse_note(data)
    known = {(key.name, key.key_id): key for key in keys if key.kind == ED25519}
    verified: list[Signature] = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if any(signature.key_id == seen.key_id for seen in verified):
            message = f"the key {key.name} signed this note twice"
            raise NoteInvalid(message, field="note")
        if not verify_ed25519(key.public, signature.value, note.text):
            message = f"the signature of {key.name} is wrong"
            raise NoteInvalid(message, field="note", reason="bad_signature")
        verified.append(signature)
    if not verified:
        message = "no trusted key signed this note"
        raise NoteInvalid(message, field="note", reason="unknown_key")
    return note, verified


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether the Ed25519 signature is good."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_text(text: bytes) -> None:
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteInvalid("a note is UTF-8 text", field="note") from error
    if not decoded.endswith("\n"):
        raise NoteInvalid("the text of a note ends in a newline", field="note")
    if any(ord(c) < ord(" ") and c != "\n" for c in decoded):
        raise NoteInvalid("a note holds no control characters", field="note")


def _parse_line(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise NoteInvalid("a signature line begins with a dash", field="note")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space or not is_key_name(name):
        raise NoteInvalid("a signature line names its key", field="note")
    data = decode64(encoded)
    if len(data) <= KEY_ID_BYTES:
        raise NoteInvalid("a signature is longer than its key id", field="note")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
