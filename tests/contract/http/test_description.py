"""The API description holds for what is really answered."""

import contextlib
import re

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

from cortex.service.http.app import create_app
from cortex.service.http.options import HttpOptions


@pytest.fixture
async def api(http):
    return (await http.get("/openapi.json")).json()


def references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_every_reference_leads_somewhere(api):
    names = {ref.rpartition("/")[2] for ref in references(api)}
    assert names <= set(api["components"]["schemas"])


async def test_every_operation_has_a_name_of_its_own_and_a_summary(api):
    found = [op for methods in api["paths"].values() for op in methods.values()]
    names = [operation["operationId"] for operation in found]
    assert len(set(names)) == len(names)
    assert all(operation["description"].strip() for operation in found)


async def test_every_path_of_the_memory_contract_is_there(api):
    contract = """
    POST /memory, GET /memory, DELETE /memory, GET /memory/{memory_id},
    PATCH /memory/{memory_id}, DELETE /memory/{memory_id}, POST /memory/search,
    POST /memory/import, GET /memory/export, GET /memory/stats, POST /sessions,
    GET /sessions/{session_id}, POST /sessions/{session_id}/messages,
    GET /state/{namespace}/{key}, PUT /state/{namespace}/{key},
    DELETE /state/{namespace}/{key}, POST /context, POST /context/optimize,
    GET /state/snapshot, GET /state/discover, POST /vector/search, GET /db/list,
    GET /db/schema/{name}, GET /db/sample, GET /svc/list, GET /svc/health,
    GET /fs/list, GET /fs/read_text, GET /models, GET /v1/models, GET /healthz,
    GET /ready, GET /health, GET /health/live, GET /health/ready, GET /metrics,
    POST /audit/record, GET /audit/log, GET /audit/entries, GET /audit/stats,
    GET /audit/checkpoint, GET /audit/proof/inclusion/{index},
    GET /audit/proof/consistency, POST /audit/verify
    """
    there = {
        f"{method.upper()} {path}"
        for path, methods in api["paths"].items()
        for method in methods
    }
    assert {re.sub(r"\s+", " ", line.strip()) for line in contract.split(",")} <= there


async def test_errors_are_described_with_their_one_body(api):
    operation = api["paths"]["/memory"]["post"]
    for status in (
        "400",
        "401",
        "403",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
        "507",
    ):
        content = operation["responses"][status]["content"]
        assert set(content) == {"application/problem+json"}


async def test_every_answer_has_exactly_the_described_fields(http, api):
    session = {"id": "s", "title": "t"}
    stored = {"items": [{"content": "tea", "session_id": "s"}]}
    await http.post("/sessions", json=session)
    [memory_id] = (await http.post("/memory", json=stored)).json()["ids"]
    await http.put("/state/team/key", json={"value": 1})
    calls = [
        ("post", "/memory", {}, {"items": [{"content": "x"}]}),
        ("get", "/memory", {}, None),
        ("get", "/memory/{memory_id}", {"memory_id": memory_id}, None),
        ("patch", "/memory/{memory_id}", {"memory_id": memory_id}, {"kind": "fact"}),
        ("post", "/memory/search", {}, {"query": "tea", "explain": True}),
        ("get", "/memory/stats", {}, None),
        ("get", "/sessions", {}, None),
        ("get", "/sessions/{session_id}", {"session_id": "s"}, None),
        ("get", "/sessions/{session_id}/messages", {"session_id": "s"}, None),
        (
            "post",
            "/sessions/{session_id}/messages",
            {"session_id": "s"},
            stored_plain(),
        ),
        ("get", "/state/{namespace}/{key}", {"namespace": "team", "key": "key"}, None),
        ("post", "/context", {}, {"query": "tea"}),
        ("post", "/context/optimize", {}, {"items": [{"content": "x"}]}),
        ("get", "/state/snapshot", {}, None),
        ("get", "/state/discover", {}, None),
        ("post", "/vector/search", {}, {"query": "tea"}),
        ("get", "/db/list", {}, None),
        ("get", "/db/schema/{name}", {"name": "notes"}, None),
        ("get", "/svc/list", {}, None),
        ("get", "/svc/health", {}, None),
        ("get", "/models", {}, None),
        ("get", "/v1/models", {}, None),
        ("get", "/v1/models/{model}", {"model": "default"}, None),
        ("get", "/healthz", {}, None),
        ("get", "/health", {}, None),
        ("get", "/health/live", {}, None),
        ("get", "/ready", {}, None),
        ("delete", "/memory/{memory_id}", {"memory_id": memory_id}, None),
    ]
    for method, path, names, body in calls:
        answer = await http.request(method, path.format(**names), json=body)
        assert answer.status_code == 200, (method, path, answer.text)
        described = api["paths"][path][method]["responses"]["200"]["content"]
        schema = described["application/json"]["schema"] | {
            "components": api["components"]
        }
        faults = list(Draft202012Validator(schema).iter_errors(answer.json()))
        assert faults == [], (method, path)


def stored_plain():
    return {"items": [{"content": "hello"}]}


async def test_the_page_needs_nothing_from_elsewhere(served):
    async with served.client(None) as http:
        answer = await http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_made_up_requests_get_described_answers(open_served):
    """Every operation, with data that fits the description and data that does not."""
    application = create_app(
        open_served.edge, HttpOptions("brAInwav", "0.1.0", trusted_hosts=())
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", application)
    # There is no ledger behind this edge: test_audit_description puts one there.
    for result in schema.exclude(path_regex="^/audit/").get_all_operations():
        operation = result.ok()
        run(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        # An operation that takes nothing cannot be given anything wrong.
        with contextlib.suppress(Unsatisfiable):
            run(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def run(cases):
    @given(case=cases)
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    def check(case):
        response = case.call()
        case.validate_response(response, checks=CONFORMANCE)

    check()
