import re

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from cortex_client import tracing

FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")


def test_each_request_has_a_trace_of_its_own():
    made = {tracing.traceparent() for _ in range(100)}
    assert len(made) == 100
    assert all(FORM.fullmatch(value) for value in made)
    assert {value[-2:] for value in made} == {"00"}


@pytest.mark.parametrize(("sampler", "flags"), [(None, "01"), (ALWAYS_OFF, "00")])
def test_the_running_span_of_opentelemetry_goes_along(sampler, flags):
    provider = TracerProvider(sampler=sampler)
    with provider.get_tracer("test").start_as_current_span("work") as span:
        context = span.get_span_context()
        expected = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags}"
        assert tracing.traceparent() == expected
    assert tracing.traceparent() != expected
