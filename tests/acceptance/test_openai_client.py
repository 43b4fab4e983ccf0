"""OpenAI's own client against a real server with the real model."""

import json

import httpx
import numpy as np
import openai
import pytest
from tokenizers import Tokenizer

from cortex.inference.packaged import bundled_folder

TEXTS = [
    "Ana drinks her coffee black.",
    "Naïve café — 東京 🦊",
    "word " * 600,
]


TOKEN = "app-token-0123456789"


@pytest.fixture
def server(serve):
    tokens = {"app": {"token": TOKEN, "scopes": ["inference"]}}
    server = serve(CORTEX_TOKENS=json.dumps(tokens))
    server.client.headers["Authorization"] = f"Bearer {TOKEN}"
    return server


def connect(server, token):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=token, max_retries=0)


@pytest.fixture
def client(server):
    with connect(server, TOKEN) as client:
        yield client


def test_the_official_client_reads_vectors_in_both_encodings(server, client):
    packed = client.embeddings.create(model="default", input=TEXTS)
    plain = client.embeddings.create(
        model="default", input=TEXTS, encoding_format="float"
    )
    assert [row.index for row in packed.data] == [0, 1, 2]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert np.array_equal(np.float32(one.embedding), np.float32(other.embedding))
        assert abs(np.linalg.norm(one.embedding) - 1) < 1e-5
    own = server.client.post("/embeddings", json={"texts": TEXTS}).json()
    assert np.array_equal(
        np.float32(own["embeddings"]), np.float32([r.embedding for r in plain.data])
    )
    assert own["truncated"] == [2]


def test_usage_is_what_the_models_own_tokenizer_counts(client):
    tokenizer = Tokenizer.from_file(str(bundled_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for text in TEXTS:
        usage = client.embeddings.create(model="", input=text).usage
        assert usage.prompt_tokens == len(tokenizer.encode(text).ids)
        assert usage.total_tokens == usage.prompt_tokens


def test_the_listed_model_is_the_one_that_answers(client):
    listed = client.models.list().data[0].id
    answer = client.embeddings.create(model=listed, input="a", dimensions=384)
    assert (answer.model, len(answer.data[0].embedding)) == (listed, 384)


def test_refusals_arrive_as_the_clients_own_errors(client):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.embeddings.create(model="text-embedding-3-small", input="a")
    assert unknown.value.code == "MODEL_NOT_FOUND"
    with pytest.raises(openai.UnprocessableEntityError) as cut:
        client.embeddings.create(model="", input="a", dimensions=256)
    assert "384 dimensions only" in cut.value.body["message"]
    with pytest.raises(openai.UnprocessableEntityError) as tokens:
        client.embeddings.create(model="", input=[[1, 2, 3]])
    assert "tokens" in tokens.value.body["message"]


def test_without_the_token_nothing_is_embedded(server):
    with (
        connect(server, "another-token-0123456789") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.embeddings.create(model="", input="a")


def test_what_was_embedded_is_counted_by_source(server):
    for _ in range(2):
        server.client.post("/embed", json={"text": "counted once by the model"})
    text = httpx.get(f"{server.url}/metrics").text
    counts = dict(
        line.rsplit(" ", 1)
        for line in text.splitlines()
        if line.startswith("cortex_embeddings_total")
    )
    assert float(counts['cortex_embeddings_total{source="model"}']) >= 1
    assert float(counts['cortex_embeddings_total{source="cache"}']) >= 1
    assert "cortex_embedding_seconds_count 0.0" not in text
