"""What every text backend must do, whatever runs behind it."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cortex.foundation.clock import SystemClock
from cortex.inference.backends.bundled import open_bundled
from cortex.inference.backends.hashing import HashingText
from cortex.inference.backends.openai import OpenAiOptions, OpenAiText
from cortex.inference.backends.user_onnx import open_user_onnx
from cortex.inference.packaged import bundled_folder
from cortex.inference.ports import TextBackend
from cortex.inference.tokens.counters import Counters
from cortex.testing.inference import ControlledText, embedding_server

TEXTS = [
    "Melanie painted a lake at sunrise.",
    "",
    "   \n\t ",
    "日本語のテキスト、そして emoji 🙂🙃",
    "half a pair \ud83d and a NUL \x00",
    "word " * 2000,
    "a" * 5000,
]


@pytest.fixture(scope="module")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("my-model")
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(bundled_folder() / name, folder / name)
    return folder


@pytest.fixture(
    scope="module", params=["bundled", "user", "hashing", "openai", "controlled"]
)
def backend(request: pytest.FixtureRequest, user_folder: Path) -> Iterator[TextBackend]:
    with embedding_server() as server:
        options = OpenAiOptions("some-model", server.url, "key", dimensions=384)
        counter = Counters(SystemClock()).for_model("some-model")
        makers: dict[str, Callable[[], TextBackend]] = {
            "bundled": open_bundled,
            "user": lambda: open_user_onnx(user_folder),
            "hashing": HashingText,
            "openai": lambda: OpenAiText(options, counter),
            "controlled": ControlledText,
        }
        opened = makers[request.param]()
        yield opened
        opened.close()
        opened.close()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_text_has_a_unit_vector_of_the_promised_length(
    backend: TextBackend, text: str
) -> None:
    vector = backend.embed(text)
    assert vector.dtype == np.float32
    assert vector.shape == (backend.info.dimensions,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_same_text_gives_the_same_bits(backend: TextBackend) -> None:
    text = "Caroline went to the support group on 7 May 2023."
    first = backend.embed(text)
    backend.embed("something else in between")
    assert backend.embed(text).tobytes() == first.tobytes()


def test_threads_do_not_disturb_one_another(backend: TextBackend) -> None:
    texts = [f"the {n}th memory of a long conversation" for n in range(24)]
    alone = [backend.embed(text).tobytes() for text in texts]
    with ThreadPoolExecutor(4) as threads:
        together = [v.tobytes() for v in threads.map(backend.embed, texts)]
    assert together == alone


def test_shared_words_are_closer_than_none(backend: TextBackend) -> None:
    query = backend.embed("what did Melanie paint")
    near = backend.embed("Melanie did paint a lake")
    far = backend.embed("quarterly tax filing deadlines")
    assert query @ near > query @ far


def test_tokens_grow_with_the_text(backend: TextBackend) -> None:
    short = backend.count_tokens("one two three")
    assert 0 < short < backend.count_tokens("one two three " * 50)


def test_it_says_what_it_is(backend: TextBackend) -> None:
    info = backend.info
    assert info.name
    assert len(info.sha256) == 64
    assert info.space.endswith(info.sha256[:8]) or info.runtime == "onnx"
    assert info.max_tokens > 0
    assert not info.degraded


def test_the_spaces_of_different_models_differ(user_folder: Path) -> None:
    counter = Counters(SystemClock()).for_model("text-embedding-3-small")
    infos = [
        open_bundled().info,
        open_user_onnx(user_folder).info,
        HashingText().info,
        OpenAiText(OpenAiOptions("text-embedding-3-small"), counter).info,
        OpenAiText(OpenAiOptions("text-embedding-3-large"), counter).info,
        OpenAiText(
            OpenAiOptions("text-embedding-3-large", dimensions=256), counter
        ).info,
    ]
    assert len({info.space for info in infos}) == len(infos)
