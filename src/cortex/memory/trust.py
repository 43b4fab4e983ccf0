"""How far a memory is trusted, by the kind of source it came from.

Trust is a number from 0 to 1 in hundredths. It never changes a score: it is a fact that
callers filter by. The kind of source is what the writer says it is; what keeps a writer
honest is its token (see ``docs/explanation/memory-safety.md``).
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class SourceKind(StrEnum):
    """Where a content came from, as its writer says."""

    USER = "user"
    AGENT = "agent"
    TOOL = "tool"
    IMPORT = "import"
    WEB = "web"
    UNKNOWN = "unknown"


TRUST_CEILINGS: Final[Mapping[SourceKind, float]] = MappingProxyType(
    {
        SourceKind.USER: 0.9,
        SourceKind.AGENT: 0.7,
        SourceKind.UNKNOWN: 0.7,
        SourceKind.IMPORT: 0.6,
        SourceKind.TOOL: 0.5,
        SourceKind.WEB: 0.3,
    }
)
"""The trust of each kind, which is also the most that a writer may claim for it."""

UNTRUSTED_KINDS: Final = frozenset({SourceKind.TOOL, SourceKind.WEB})
"""Kinds whose content others wrote: it is screened for instructions."""

SOURCE_CHARACTERS_MAX: Final = 200
"""Characters of a source, a run id or a reason: a reference, never a document."""

_HUNDREDTHS: Final = 100


def allowed_trust(kind: SourceKind, claimed: float | None = None) -> float:
    """Return the trust to keep: what was claimed, never above the kind's ceiling.

    Finer parts than hundredths are rounded down.
    """
    ceiling = TRUST_CEILINGS[kind]
    if claimed is None or claimed >= ceiling:
        return ceiling
    return hundredths(max(claimed, 0.0)) / _HUNDREDTHS


def imported_trust(kind: SourceKind, claimed: float | None) -> float:
    """Return the trust of an imported line: an import never lifts anything.

    The least of what the line claims, what its kind allows and what an import allows.
    """
    ceiling = TRUST_CEILINGS[SourceKind.IMPORT]
    return allowed_trust(kind, ceiling if claimed is None else min(claimed, ceiling))


def hundredths(trust: float) -> int:
    """Return a trust in whole hundredths, rounded down."""
    # 0.29 * 100 is 28.999…: what binary fractions add is far below the sixth digit.
    return math.floor(round(trust * _HUNDREDTHS, 6))


def hundredths_needed(min_trust: float) -> int:
    """Return the hundredths that a memory needs for a wanted trust."""
    return math.ceil(round(min_trust * _HUNDREDTHS, 6))
