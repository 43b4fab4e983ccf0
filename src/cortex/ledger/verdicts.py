"""What a verification can find out."""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Verdict(StrEnum):
    """The answer in one word."""

    INTACT = "intact"
    TAMPERED = "tampered"
    INCOMPLETE = "incomplete"
    UNCHECKABLE = "cannot_check"


EXIT_CODES = MappingProxyType(
    {
        Verdict.INTACT: 0,
        Verdict.TAMPERED: 1,
        Verdict.INCOMPLETE: 2,
        Verdict.UNCHECKABLE: 3,
    }
)
"""Exit codes of ``cortex ledger verify``."""


class Reason(StrEnum):
    """Why the answer is not ``intact``."""

    NONE = ""
    CHAIN_BROKEN = "chain_broken"
    ENTRY_MISSING = "entry_missing"
    ENTRY_MALFORMED = "entry_malformed"
    TIME_WENT_BACK = "time_went_back"
    ROOT_MISMATCH = "root_mismatch"
    TRUNCATED = "truncated"
    FORKED = "forked"
    STALE_CHECKPOINT = "stale_checkpoint"
    CHECKPOINT_MISSING = "checkpoint_missing"
    CHECKPOINT_MALFORMED = "checkpoint_malformed"
    EXTENSION_LINES = "extension_lines"
    FOREIGN_ORIGIN = "foreign_origin"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    WITNESSES_MISSING = "witnesses_missing"
    TILE_MISMATCH = "tile_mismatch"
    TILE_MISSING = "tile_missing"
    BUNDLE_MISMATCH = "bundle_mismatch"
    BUNDLE_MISSING = "bundle_missing"
    OBJECT_MISSING = "object_missing"
    OBJECT_MISMATCH = "object_mismatch"
    ARCHIVE_UNREACHABLE = "archive_unreachable"
    BLOB_MISSING = "blob_missing"
    BLOB_MISMATCH = "blob_mismatch"
    INDEX_MISMATCH = "index_mismatch"
    SNAPSHOT_FORGED = "snapshot_forged"
    STORE_UNREADABLE = "store_unreadable"
    NO_KEY = "no_key"
    NO_HEAD = "no_head"
    PIN_UNUSABLE = "pin_unusable"


_INCOMPLETE = frozenset(
    (
        Reason.TILE_MISSING,
        Reason.OBJECT_MISSING,
        Reason.BLOB_MISSING,
        Reason.WITNESSES_MISSING,
    )
)
_UNCHECKABLE = frozenset(
    (Reason.NO_KEY, Reason.NO_HEAD, Reason.PIN_UNUSABLE, Reason.ARCHIVE_UNREACHABLE)
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        reason: what kind of thing.
        index: the first entry it concerns, if it concerns entries.
        detail: a sentence for people.
    """

    reason: Reason
    index: int | None = None
    detail: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return what the finding makes of the whole."""
        if self.reason in _INCOMPLETE:
            return Verdict.INCOMPLETE
        if self.reason in _UNCHECKABLE:
            return Verdict.UNCHECKABLE
        return Verdict.INTACT if self.reason is Reason.NONE else Verdict.TAMPERED


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer in full.

    Attributes:
        verdict: in one word.
        reason: why, when it is not intact.
        index: the first bad entry, when entries are concerned.
        detail: a sentence for people.
        size: entries that were found.
        root: root over them, base64.
        signed_size: entries that a trusted head covers.
        checked_from: the first entry that was read.
        pinned: whether a head from outside the store took part; without one, a
            truncated log with its old head cannot be told from a young one.
        findings: everything that was found, the decisive one first.
        recovered: damage of an interrupted write that the next start repairs.
    """

    verdict: Verdict
    reason: Reason = Reason.NONE
    index: int | None = None
    detail: str = ""
    size: int = 0
    root: str = ""
    signed_size: int = 0
    checked_from: int = 0
    pinned: bool = False
    findings: tuple[Finding, ...] = ()
    recovered: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command."""
        return EXIT_CODES[self.verdict]
