import json
import random

import pytest

from cortex.foundation.errors import ValidationError
from cortex.telemetry import tracing
from cortex.telemetry.tracing.remote import RemoteWork, read, written
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.spans import adopt
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.clock import ManualClock


def test_a_workers_part_hangs_in_its_owners_trace():
    clock = ManualClock(1_000.0)
    tracer = Tracer(clock, random.Random(1).getrandbits, Sampling(ratio=1.0))
    with tracer.root("POST /embed"), tracing.span("embed"):
        caller = tracing.current_traceparent()
        # In another process: nothing but the frame's bytes goes there and back.
        work = RemoteWork("worker.embed", caller, clock, random.Random(9).getrandbits)
        owner = tracing.spans._CURRENT.get()
        with work, tracing.span("model.run", texts=3):
            clock.advance(1)
        tracing.spans._CURRENT.set(owner)
        adopt(read(json.loads(json.dumps(written(work.records)))))
    (trace,) = tracer.take()
    by_name = {span.name: span for span in trace.spans}
    assert by_name["worker.embed"].parent_id == by_name["embed"].span_id
    assert by_name["model.run"].parent_id == by_name["worker.embed"].span_id
    assert by_name["model.run"].attributes == {"texts": 3}
    assert by_name["model.run"].seconds == 1
    assert trace.top.name == "POST /embed"


@pytest.mark.parametrize("caller", ["", "nonsense"])
def test_without_a_trace_a_worker_records_nothing(caller):
    work = RemoteWork("x", caller, ManualClock(), random.Random(1).getrandbits)
    with work, tracing.span("y"):
        pass
    assert work.records == ()


@pytest.mark.parametrize("rows", [[[]], [{}], [["a"] * 8], [None]])
def test_what_is_no_span_is_refused(rows):
    with pytest.raises(ValidationError):
        read(rows)
