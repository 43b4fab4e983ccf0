"""Which memories a selection takes, judged one by one."""

from cortex.memory.filters import compile_filter
from cortex.memory.model import Memory, Origin, Quarantine, Selection


def selected(memory: Memory, selection: Selection) -> bool:
    """Return whether a selection takes a memory."""
    for name in ("session_id", "user_id", "agent_id", "author", "kind", "modality"):
        wanted = getattr(selection, name)
        if wanted is not None and getattr(memory, name) != wanted:
            return False
    if selection.tag is not None and selection.tag not in memory.tags:
        return False
    if selection.tiers is not None and memory.tier not in selection.tiers:
        return False
    if selection.where is not None and not compile_filter(selection.where)(
        memory.metadata
    ):
        return False
    if not _trusted(memory, selection):
        return False
    span = selection.time_range
    after = span is None or span.start is None or memory.occurred_at >= span.start
    before = span is None or span.end is None or memory.occurred_at < span.end
    return after and before


def _trusted(memory: Memory, selection: Selection) -> bool:
    where, wanted = memory.provenance, selection.origin or Origin()
    kinds = selection.source_kinds
    only = selection.quarantine is Quarantine.ONLY
    return (
        (selection.quarantine is Quarantine.INCLUDED or memory.quarantined == only)
        and memory.trust >= (selection.min_trust or 0.0)
        and (kinds is None or where.source_kind in kinds)
        and wanted.source in (None, where.source)
        and wanted.run_id in (None, where.run_id)
        and wanted.written_by in (None, where.written_by)
    )
