"""Another model after a restart: words work at once, vectors of two spaces never mix."""

import time

import httpx

NOTES = {
    "Who opens the harbour gate?": "The harbour master opens the gate at six.",
    "Does Anna drink green tea?": "Anna drinks green tea every morning.",
    "What is the budget of the launch?": "The budget of the launch is forty thousand euros.",
    "Does the piano need tuning?": "The piano in the hall needs tuning before the concert.",
}
CATCH_UP_SECONDS_MAX = 40.0


def spaces(client: httpx.Client) -> set[tuple[str, str | None]]:
    memories = client.get("/memory").json()["memories"]
    return {(one["embedding"], one["space"]) for one in memories}


def active_space(client: httpx.Client) -> str:
    check = client.get("/healthz").json()["checks"]["embedder"]
    assert check["status"] == "ok"
    return check["space"]


def found_first(client: httpx.Client, query: str, mode: str) -> str:
    sent = {"query": query, "mode": mode, "top_k": 4}
    hits = client.post("/memory/search", json=sent).json()["hits"]
    return hits[0]["content"] if hits else ""


def caught_up(client: httpx.Client, space: str) -> None:
    deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
    while spaces(client) != {("ready", space)}:
        assert time.monotonic() < deadline, spaces(client)
        time.sleep(0.1)
    assert client.get("/memory/stats").json()["pending_embeddings"] == 0


def check_every_note(client: httpx.Client, mode: str) -> None:
    for question, note in NOTES.items():
        assert found_first(client, question, mode) == note


def test_a_changed_model_is_noticed_and_everything_embedded_again(serve):
    first = serve()
    items = [{"content": note} for note in NOTES.values()]
    assert first.client.post("/memory", json={"items": items}).status_code == 200
    bundled = active_space(first.client)
    assert spaces(first.client) == {("ready", bundled)}
    check_every_note(first.client, "semantic")
    assert first.stop() == 0

    second = serve(home=first.home, CORTEX_FAST_TEST="1")
    check_every_note(second.client, "keyword")
    check_every_note(second.client, "hybrid")
    other = active_space(second.client)
    assert other != bundled
    # Until a row is embedded again it says so, and is never compared across spaces.
    assert {space for _, space in spaces(second.client)} <= {None, bundled, other}
    caught_up(second.client, other)
    check_every_note(second.client, "semantic")
    assert second.stop() == 0

    third = serve(home=first.home)
    assert active_space(third.client) == bundled
    check_every_note(third.client, "hybrid")
    caught_up(third.client, bundled)
    # Meaning without a shared word: only the bundled model's own vectors know it.
    assert (
        found_first(third.client, "favourite beverage", "semantic")
        == NOTES["Does Anna drink green tea?"]
    )
    assert (
        found_first(third.client, "musical instrument", "semantic")
        == NOTES["Does the piano need tuning?"]
    )
    assert third.stop() == 0
