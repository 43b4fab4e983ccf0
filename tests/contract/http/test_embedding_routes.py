import base64
import math

import numpy as np
import pytest

from cortex.foundation.bucket import Rate

WANTED = {"model": "fake", "space": "fake-8", "dimensions": 8}


async def test_one_text_has_a_vector_of_length_one_and_its_tokens(http):
    answer = (await http.post("/embed", json={"text": "tea without milk"})).json()
    assert {name: answer[name] for name in WANTED} == WANTED
    assert (answer["tokens"], answer["truncated"]) == (3, False)
    assert math.isclose(np.linalg.norm(answer["embedding"]), 1, abs_tol=1e-6)


async def test_many_texts_answer_in_order(http):
    texts = ["one", "two words", "one"]
    answer = (await http.post("/embeddings", json={"texts": texts})).json()
    assert answer["tokens"] == [1, 2, 1]
    assert answer["total_tokens"] == 4
    assert answer["embeddings"][0] == answer["embeddings"][2]
    alone = (await http.post("/embed", json={"text": "two words"})).json()
    assert answer["embeddings"][1] == alone["embedding"]


async def test_a_cut_text_is_named(http):
    long = "word " * 300
    answer = (await http.post("/embeddings", json={"texts": ["short", long]})).json()
    assert answer["truncated"] == [1]
    body = {"input": ["short", long], "model": "fake"}
    first, second = (await http.post("/v1/embeddings", json=body)).json()["data"]
    assert "truncated" not in first
    assert second["truncated"] is True


async def test_base64_and_float_are_the_same_numbers(http):
    asked = {"input": "tea", "model": "default"}
    plain = (await http.post("/v1/embeddings", json=asked)).json()
    packed = await http.post(
        "/v1/embeddings", json=asked | {"encoding_format": "base64"}
    )
    data = base64.b64decode(packed.json()["data"][0]["embedding"])
    floats = np.float32(plain["data"][0]["embedding"])
    assert np.array_equal(np.frombuffer(data, "<f4"), floats)
    assert plain["usage"] == {"prompt_tokens": 1, "total_tokens": 1}


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"input": [[1, 2]]}, 422, "VALIDATION_ERROR", "input"),
        ({"input": [1, 2]}, 422, "VALIDATION_ERROR", "input"),
        ({"input": []}, 422, "VALIDATION_ERROR", "input"),
        ({"input": ""}, 422, "VALIDATION_ERROR", "input[0]"),
        ({"input": ["a"] * 2049}, 422, "VALIDATION_ERROR", "input"),
        ({"input": "a" * 100_001}, 413, "TEXT_TOO_LONG", "texts[0]"),
        ({"input": "a", "model": "gpt-9"}, 404, "MODEL_NOT_FOUND", "model"),
        ({"input": "a", "dimensions": 4}, 422, "VALIDATION_ERROR", "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, 422, "VALIDATION_ERROR", "encoding_format"),
        ({"input": "a", "inputs": "a"}, 422, "VALIDATION_ERROR", "inputs"),
    ],
)  # fmt: skip
async def test_what_cannot_be_embedded_is_refused_by_name(
    http, body, status, code, field
):
    answer = await http.post("/v1/embeddings", json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == (code, field)


async def test_the_models_own_dimensions_are_taken(http):
    body = {"text": "a", "dimensions": 8}
    assert (await http.post("/embed", json=body)).status_code == 200


async def test_an_answer_that_is_there_already_costs_nothing(served, http):
    body = {"input": ["tea", "milk"]}
    first = await http.post("/v1/embeddings", json=body)
    tag = first.headers["etag"]
    asked = served.world.embedder.asked
    for condition in (tag, f'"other", W/{tag}'):
        again = await http.post(
            "/v1/embeddings", json=body, headers={"If-None-Match": condition}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert served.world.embedder.asked == asked


@pytest.mark.parametrize(
    "other",
    [
        {"input": ["te", "amilk"]},
        {"input": ["tea milk"]},
        {"input": ["milk", "tea"]},
        {"input": ["tea", "milk"], "encoding_format": "base64"},
    ],
)
async def test_another_request_has_another_tag(http, other):
    first = await http.post("/v1/embeddings", json={"input": ["tea", "milk"]})
    headers = {"If-None-Match": first.headers["etag"]}
    answer = await http.post("/v1/embeddings", json=other, headers=headers)
    assert answer.status_code == 200


async def test_the_scope_is_inference(served):
    async with served.client("reader-token-012345678") as reader:
        for path, body in (
            ("/embed", {"text": "a"}),
            ("/embeddings", {"texts": ["a"]}),
            ("/v1/embeddings", {"input": "a"}),
        ):
            assert (await reader.post(path, json=body)).status_code == 403


async def test_embedding_has_a_rate_of_its_own(served):
    async with served.client() as http:
        answer = await http.post("/embed", json={"text": "a"})
        assert answer.headers["x-ratelimit-limit"] == "120"
    rates = {"/embed": Rate(1)}
    async with served.client(route_rates=rates) as http:
        statuses = [
            (await http.post("/embed", json={"text": "a"})).status_code
            for _ in range(2)
        ]
    assert statuses == [200, 429]
