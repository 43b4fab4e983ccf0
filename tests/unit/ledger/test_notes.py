import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex.ledger.errors import KeyUnusable, NoteInvalid
from cortex.ledger.notes import (
    Ed25519Signer,
    Note,
    VerifierKey,
    decode64,
    open_note,
    parse_note,
    sign_note,
)

SHIPPED = Path(__file__).parents[2] / "data" / "tlog" / "signed-notes.json"
SIGNER = Ed25519Signer("log.example", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
TEXT = b"log.example\n1\nAAAA\n"


def vectors() -> dict[str, Any]:
    data = os.environ.get("CORTEX_DATA", "")
    whole = Path(data) / "tlog" / "signed-note-vectors.json"
    path = whole if data and whole.exists() else SHIPPED
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def keys(case: dict[str, Any]) -> list[VerifierKey]:
    return [VerifierKey.decode(text) for text in case["vkeys"]]


def test_good_notes_of_other_implementations() -> None:
    for case in vectors()["open_ok"]:
        note, verified = open_note(case["msg"].encode(), keys(case))

        assert [signature.name for signature in verified] == case["verified"]
        assert note.encode() == case["msg"].encode()


def test_bad_notes_of_other_implementations() -> None:
    for case in vectors()["open_bad"]:
        encoding = "latin-1" if case["msg_latin1"] else "utf-8"
        with pytest.raises(NoteInvalid):
            open_note(case["msg"].encode(encoding), keys(case))


def test_bad_verifier_keys() -> None:
    good = vectors()["vkey"]
    cut = [good[:end] for end in range(len(good))]
    cut += [good[start:] for start in range(1, len(good))]
    changed = [
        good[:at] + chr(ord(good[at]) + 1) + good[at + 1 :] for at in range(len(good))
    ]
    assert VerifierKey.decode(good).encode() == good
    for text in [*vectors()["bad_vkeys"], *cut, *changed]:
        with pytest.raises(KeyUnusable):
            VerifierKey.decode(text)


def test_a_signed_note_opens() -> None:
    note = sign_note(TEXT, [SIGNER])

    opened, verified = open_note(note.encode(), [SIGNER.verifier_key])

    assert opened == note
    assert [signature.name for signature in verified] == ["log.example"]


@pytest.mark.parametrize("text", ["QQ=", "QR==", "QQ==\n", "Q Q==", "QQ", "QQ==QQ=="])
def test_only_canonical_base64_is_read(text: str) -> None:
    with pytest.raises(NoteInvalid):
        decode64(text)


def test_a_foreign_key_does_not_count() -> None:
    other = Ed25519Signer(
        "log.example", Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    )
    note = sign_note(TEXT, [other])

    with pytest.raises(NoteInvalid) as caught:
        open_note(note.encode(), [SIGNER.verifier_key])
    assert caught.value.data["reason"] == "unknown_key"


def test_one_wrong_signature_of_a_known_key_spoils_the_note() -> None:
    note = sign_note(TEXT, [SIGNER])
    forged = Note(b"log.example\n2\nAAAA\n", note.signatures)

    with pytest.raises(NoteInvalid) as caught:
        open_note(forged.encode(), [SIGNER.verifier_key])
    assert caught.value.data["reason"] == "bad_signature"


def test_a_key_may_sign_once_only() -> None:
    note = sign_note(TEXT, [SIGNER])
    doubled = Note(note.text, note.signatures * 2)

    with pytest.raises(NoteInvalid):
        open_note(doubled.encode(), [SIGNER.verifier_key])


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n\n", b"\n"),
        lambda data: data[:-1],
        lambda data: data + b"\n",
        lambda data: data + b"x\n",
        lambda data: data.replace("—".encode(), b"-"),
        lambda data: b"\x00" + data,
        lambda data: data.replace(b"1\n", b"1\r\n"),
        lambda data: data.replace(b"log", b"\xff"),
    ],
)
def test_malformed_notes_are_refused(change: Any) -> None:
    note = sign_note(TEXT, [SIGNER]).encode()
    assert parse_note(note)

    with pytest.raises(NoteInvalid):
        parse_note(change(note))


def test_a_text_without_its_newline_is_not_signed() -> None:
    with pytest.raises(NoteInvalid):
        sign_note(b"text", [SIGNER])
