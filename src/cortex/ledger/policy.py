"""Trust policies (c2sp.org/tlog-policy): logs, witnesses, quorum (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass

from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.cosignatures import cosigned_at
from cortex.ledger.errors import KeyUnusable, PolicyInvalid
from cortex.ledger.notes import ED25519, VerifierKey

POLICY_BYTES_MAX = 1_000_000
"""Bytes of a policy file: thousands of witnesses."""

NO_QUORUM = "none"
_NAMES_MAX = 1000
_CONTROL_ALLOWED = frozenset("\t\n")


@dataclass(frozen=True, slots=True)
class Group:
    """So many of these names must agree.

    Attributes:
        threshold: how many.
        members: witnesses and groups.
    """

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """When a head is to be believed.

    Attributes:
        logs: keys of the known logs; each key's name is the log's origin.
        witnesses: key of each named witness.
        groups: rule of each named group.
        quorum: the name that must have witnessed, or ``none``.
    """

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, Group]
    quorum: str

    def is_met(self, signed: SignedCheckpoint) -> bool:
        """Return whether enough witnesses cosigned this head."""
        if self.quorum == NO_QUORUM:
            return True
        agreed = {
            name
            for name, key in self.witnesses.items()
            if any(
                cosigned_at(signed, line, key) is not None
                for line in signed.note.signatures
            )
        }
        # Groups name only what stands before them, so one pass in order suffices.
        for name, group in self.groups.items():
            if sum(member in agreed for member in group.members) >= group.threshold:
                agreed.add(name)
        return self.quorum in agreed


def parse_policy(data: bytes) -> Policy:
    """Read a policy file.

    Raises:
        PolicyInvalid: a line breaks the format; its number is named.
    """
    if len(data) > POLICY_BYTES_MAX:
        raise PolicyInvalid(f"a policy has at most {POLICY_BYTES_MAX} bytes")
    # Bytes above ASCII are opaque here: surrogateescape keeps them apart.
    text = data.decode("ascii", "surrogateescape")
    if any(ord(c) < ord(" ") and c not in _CONTROL_ALLOWED for c in text) or (
        "\x7f" in text
    ):
        raise PolicyInvalid("a policy holds no control characters")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.take(words)
        except (PolicyInvalid, KeyUnusable) as error:
            message = f"line {number} of the policy: {error.message}"
            raise PolicyInvalid(message, line=number) from error
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self._logs: list[VerifierKey] = []
        self._witnesses: dict[str, VerifierKey] = {}
        self._groups: dict[str, Group] = {}
        self._used: set[str] = set()
        self._quorum: str | None = None

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _]:
                self._add_log(VerifierKey.decode(key))
            case ["witness", name, key] | ["witness", name, key, _]:
                self._add_witness(name, VerifierKey.decode(key))
            case ["group", name, threshold, *members] if members:
                self._add_group(name, threshold, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                message = "it is none of: log, witness, group, quorum"
                raise PolicyInvalid(message)

    def finish(self) -> Policy:
        if self._quorum is None:
            raise PolicyInvalid("the policy has no quorum line")
        return Policy(tuple(self._logs), self._witnesses, self._groups, self._quorum)

    def _add_log(self, key: VerifierKey) -> None:
        if key.kind != ED25519:
            raise PolicyInvalid("a log's key signs checkpoints (type 1)")
        if any(known.public == key.public for known in self._logs):
            raise PolicyInvalid("this log stands there already")
        self._logs.append(key)

    def _add_witness(self, name: str, key: VerifierKey) -> None:
        self._check_new(name)
        if key.kind == ED25519:
            raise PolicyInvalid("a witness's key cosigns (type 4 or 6)")
        if any(known.public == key.public for known in self._witnesses.values()):
            raise PolicyInvalid("this witness stands there already")
        self._witnesses[name] = key

    def _add_group(self, name: str, threshold: str, members: list[str]) -> None:
        self._check_new(name)
        for member in members:
            self._check_known(member)
            if member in self._used:
                raise PolicyInvalid(f"{member!r} is in a group already")
            self._used.add(member)
        self._groups[name] = Group(_threshold(threshold, len(members)), tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise PolicyInvalid("there is one quorum line")
        if name != NO_QUORUM:
            self._check_known(name)
        self._quorum = name

    def _check_new(self, name: str) -> None:
        if name == NO_QUORUM or name in self._witnesses or name in self._groups:
            raise PolicyInvalid(f"the name {name!r} is taken")
        if len(self._witnesses) + len(self._groups) >= _NAMES_MAX:
            raise PolicyInvalid(f"a policy has at most {_NAMES_MAX} names")

    def _check_known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise PolicyInvalid(f"{name!r} is not defined above")


def _threshold(text: str, members: int) -> int:
    if text == "any":
        return 1
    if text == "all":
        return members
    if not (text.isascii() and text.isdigit()) or text[0] == "0":
        raise PolicyInvalid("a threshold is any, all or a number")
    number = int(text) if len(text) <= len(str(_NAMES_MAX)) else members + 1
    if number > members:
        raise PolicyInvalid(f"{text} of {members} members cannot agree")
    return number
