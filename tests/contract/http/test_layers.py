import json
import uuid

import pytest

from cortex.service.http.record import OPEN_PATHS

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def lines(served):
    return [json.loads(line) for line in served.log.getvalue().splitlines()]


async def test_a_correlation_id_is_echoed_logged_and_handed_on(http, served):
    headers = {"X-Correlation-ID": "order 7/x", "traceparent": TRACEPARENT}
    answer = await http.get("/memory", headers=headers)
    assert answer.headers["x-correlation-id"] == "order 7/x"
    [line] = lines(served)
    assert line["correlation_id"] == "order 7/x"
    assert line["trace_id"] == "a" * 32
    assert len(line["span_id"]) == 16


async def test_errors_carry_the_same_id_as_their_header(http):
    answer = await http.get("/nope")
    assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]


@pytest.mark.parametrize("given", [None, "", "x" * 129, "ümlaut".encode(), b"a\x01b"])
async def test_other_ids_are_replaced(http, given):
    headers = {} if given is None else {"X-Correlation-ID": given}
    answer = await http.get("/memory", headers=headers)
    assert uuid.UUID(answer.headers["x-correlation-id"]).version == 7


async def test_every_request_has_an_id_of_its_own(http):
    headers = {"X-Correlation-ID": "same"}
    answers = [await http.get("/memory", headers=headers) for _ in range(3)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert {uuid.UUID(value).version for value in ids} == {7}


async def test_one_line_a_request_without_content_or_query(http, served):
    await http.post("/memory", json={"items": [{"content": "s3cr3t plan"}]})
    await http.get("/memory", params={"user_id": "s3cr3t"})
    told = lines(served)
    assert [line["event"] for line in told] == ["request", "request"]
    assert told[0]["route"] == "/memory"
    assert (told[0]["status"], told[0]["subject"]) == (200, "admin")
    assert told[0]["duration_ms"] >= 0
    assert "s3cr3t" not in served.log.getvalue()
    assert "admin-token" not in served.log.getvalue()


async def test_probes_are_logged_as_debug(http, served):
    await http.get("/healthz")
    assert [line["level"] for line in lines(served)] == ["debug"]


async def test_an_unforeseen_failure_leaks_nothing(http, served):
    async def broken(*_):
        message = "password=hunter2 in /secret/place"
        raise RuntimeError(message)

    object.__setattr__(served.world.use_cases, "list_memories", broken)
    answer = await http.get("/memory")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["error"]["code"] == "INTERNAL_ERROR"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    failed, request = lines(served)
    assert "RuntimeError" in failed["exception"]
    assert failed["correlation_id"] == body["correlation_id"]
    assert request["error_code"] == "INTERNAL_ERROR"


async def test_a_draining_server_refuses_work_and_answers_probes(http, served):
    served.states.append("draining")
    answer = await http.post("/memory", json={"items": [{"content": "x"}]})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["code"] == "DRAINING"
    assert served.world.memory.rows == {}
    for path in OPEN_PATHS:
        assert (await http.get(path)).status_code == 200


async def test_a_starting_server_says_so(http, served):
    served.states.append("starting")
    answer = await http.get("/memory")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "UNAVAILABLE"


async def test_a_body_over_the_limit_is_413_naming_it(served):
    async with served.client(body_bytes_max=1_000) as http:
        answer = await http.post("/memory", json={"items": [{"content": "x" * 2_000}]})
    assert answer.status_code == 413
    assert answer.json()["error"]["limit"] == 1_000
    assert answer.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_a_body_of_unknown_length_is_counted(served):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 1_000_000:
            sent += 100
            yield b" " * 100

    async with served.client(body_bytes_max=1_000) as http:
        headers = {"Content-Type": "application/json"}
        answer = await http.post("/memory", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent < 3_000


async def test_a_route_may_take_larger_bodies(served):
    limits = {"/context/optimize": 10_000}
    async with served.client(body_bytes_max=1_000, route_body_bytes_max=limits) as http:
        items = [{"content": "x" * 2_000}]
        answer = await http.post("/context/optimize", json={"items": items})
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_an_unknown_path_is_404_in_the_same_body(http, method):
    answer = await http.request(method, "/no/such/path")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NO_SUCH_PATH"


async def test_another_method_is_405_and_names_all_that_work(http):
    answer = await http.put("/memory")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, POST"
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def test_answers_are_not_kept_or_guessed_at_by_browsers(http):
    headers = (await http.get("/memory")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


async def test_an_export_that_fails_at_once_has_its_own_status(http, served):
    async def full(*_):
        from cortex.foundation.errors import Overloaded

        message = "too many exports"
        raise Overloaded(message)
        yield b""

    object.__setattr__(served.world.use_cases, "export_lines", full)
    assert (await http.get("/memory/export")).status_code == 503


async def test_an_import_that_fails_later_ends_with_the_error(http, served):
    from cortex.foundation.errors import StorageFull

    real = served.world.use_cases.import_lines

    async def fails(ns, lines, context, /, *, start_line=0, place=None):
        async for step in real(ns, lines, context, start_line=start_line):
            yield step
            if step.line >= 2:
                message = "the disk is full"
                raise StorageFull(message)

    object.__setattr__(served.world.use_cases, "import_lines", fails)
    answer = await http.post(
        "/memory/import",
        content=b'{"content": "a"}\n' * 4,
        headers={"Content-Type": "application/x-ndjson"},
    )
    last = json.loads(answer.text.splitlines()[-1])
    assert last["error"]["code"] == "STORAGE_FULL"
    assert last["correlation_id"] == answer.headers["x-correlation-id"]
