"""The API description of /audit holds for what a real ledger answers."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall
from cortex.ledger.options import LedgerOptions
from cortex.service.http.app import create_app
from cortex.service.http.options import HttpOptions
from cortex.usecases.audit import Audit, LedgerRoom

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def api(open_served, tmp_path):
    """An application over a ledger with one published call."""
    clock = open_served.clock

    async def opened():
        context = LedgerContext(clock, Uuid7Source(clock))
        options = LedgerOptions(pins=tmp_path / "pins")
        ledger = await Ledger.open(tmp_path / "home", context, options)
        call = AgentCall("run", "agent", "method", "a", "b", actor="anonymous")
        await ledger.record(call, published=True)
        return ledger

    ledger = asyncio.run(opened())
    room = LedgerRoom()
    room.opened(ledger)
    cases = replace(open_served.edge.use_cases, audit=Audit(room))
    edge = replace(open_served.edge, use_cases=cases)
    yield create_app(edge, HttpOptions("brAInwav", "0.1.0", trusted_hosts=()))
    asyncio.run(ledger.close())


def test_made_up_requests_get_described_answers(api):
    schema = schemathesis.openapi.from_asgi("/openapi.json", api)
    for result in schema.include(path_regex="^/audit/").get_all_operations():
        operation = result.ok()
        run(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        # An operation that takes nothing cannot be given anything wrong.
        with contextlib.suppress(Unsatisfiable):
            run(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def run(cases):
    @given(case=cases)
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case):
        response = case.call()
        case.validate_response(response, checks=CHECKS)

    check()


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("post", "/audit/record", "/audit/record?wait=published"),
        ("get", "/audit/log", "/audit/log"),
        ("get", "/audit/entries", "/audit/entries"),
        ("get", "/audit/entries/{index}", "/audit/entries/0"),
        ("get", "/audit/entries/{index}/content", "/audit/entries/0/content"),
        ("get", "/audit/stats", "/audit/stats"),
        ("get", "/audit/proof/inclusion/{index}", "/audit/proof/inclusion/0"),
        ("get", "/audit/proof/consistency", "/audit/proof/consistency?from=1&to=1"),
        ("post", "/audit/verify", "/audit/verify"),
    ],
)
def test_each_answer_has_exactly_the_described_fields(api, method, path, asked):
    from starlette.testclient import TestClient

    body = {
        "run_id": "r",
        "agent_name": "a",
        "method_name": "m",
        "prompt": "p",
        "raw_output": "o",
    }
    with TestClient(api, base_url="http://127.0.0.1") as client:
        answer = client.request(method, asked, json=body)
        described = client.get("/openapi.json").json()
    assert answer.status_code == 200, answer.text
    told = described["paths"][path][method]["responses"]["200"]["content"]
    schema = told["application/json"]["schema"] | {
        "components": described["components"]
    }
    assert list(Draft202012Validator(schema).iter_errors(answer.json())) == []
