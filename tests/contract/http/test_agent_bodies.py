"""Any body is answered by a plan, a judgement or a reason: never by a failure."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.foundation.bucket import Rate

MANY = {"/agents/plan": Rate(1_000_000), "/agents/reflect": Rate(1_000_000)}
TEXT = st.text(max_size=300) | st.text("ab .,;:!?\n-*[]()\"'`{}0123", max_size=300)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FACTS = st.dictionaries(st.text(max_size=12), JSON, max_size=3)
PLANS = st.fixed_dictionaries(
    {"goal": TEXT},
    optional={"context": FACTS, "strategy": st.sampled_from(["cot", "tot", "x"])},
)
REFLECTIONS = st.fixed_dictionaries(
    {
        "output": st.fixed_dictionaries(
            {"content": TEXT},
            optional={
                "confidence": st.floats(-0.1, 1.1),
                "reasoning": TEXT,
                "iteration": st.integers(0, 4),
            },
        )
    },
    optional={
        "goal": TEXT,
        "criteria": st.lists(TEXT, max_size=3),
        "context": FACTS,
        "previous_id": TEXT,
    },
)


@pytest.fixture(scope="module")
def client(served_once):
    """Return one client over one application: building it takes longest."""
    return served_once.client(route_rates=MANY)


@settings(max_examples=50)
@given(PLANS | REFLECTIONS)
def test_no_body_makes_it_fail(client, body: dict[str, object]) -> None:
    path = "/agents/reflect" if "output" in body else "/agents/plan"
    answer = asyncio.run(client.post(path, json=body))
    assert answer.status_code in {200, 400, 404, 413, 422}, answer.text
