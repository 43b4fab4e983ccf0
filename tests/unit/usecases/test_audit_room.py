"""A server whose ledger did not open refuses audit calls and says why."""

import pytest

from cortex.foundation.errors import Unavailable
from cortex.foundation.tenancy import Principal
from cortex.ledger.model import AgentCall, EntryQuery
from cortex.usecases.audit import LEDGER_RETRY_SECONDS, Audit, LedgerRoom

ANN = Principal("ann", "acme", frozenset({"*"}))
CALL = AgentCall("run", "agent", "method", "prompt", "output")


@pytest.mark.parametrize("reason", [None, "its key is not readable"])
async def test_every_call_is_refused_with_the_reason(reason, call):
    room = LedgerRoom()
    if reason:
        room.failed(reason)
    audit = Audit(room)
    for work in (
        lambda: audit.record(ANN, CALL, call),
        lambda: audit.calls(ANN, 10),
        lambda: audit.entries(ANN, EntryQuery()),
        lambda: audit.entry(ANN, 0),
        lambda: audit.content(ANN, 0, call),
        lambda: audit.stats(ANN),
        audit.checkpoint,
        lambda: audit.inclusion(ANN, 0),
        lambda: audit.consistency(0, None),
        audit.verify,
        lambda: audit.published("checkpoint"),
        lambda: audit.shred("acme", "ann", call),
    ):
        with pytest.raises(Unavailable, match=reason or "not open") as refused:
            await work()
        assert refused.value.retry_after_seconds == LEDGER_RETRY_SECONDS
        assert refused.value.hint
