"""Backends that hang, die in the middle, or are broken from the start."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.foundation.breaker import Breaker, Phase
from cortex.foundation.cache import Cache
from cortex.foundation.clock import SystemClock
from cortex.inference.errors import EmbeddingUnavailable, ModelUnusable
from cortex.inference.packaged import bundled_folder
from cortex.inference.ports import Vector
from cortex.inference.providers import Provider, TextModelOptions, open_text_backend
from cortex.inference.text import EmbeddingOptions, TextEmbedding
from cortex.inference.tokens.counters import Counters
from cortex.testing.inference import ControlledText
from cortex.testing.memory import VirtualClock


def service(backend: ControlledText, deadline: float) -> TextEmbedding:
    clock = VirtualClock()
    cache: Cache[bytes, Vector] = Cache(100)
    options = EmbeddingOptions(
        threads=2, deadline_seconds=deadline, close_grace_seconds=0.2
    )
    return TextEmbedding(
        backend, cache=cache, breaker=Breaker(clock), clock=clock, options=options
    )


async def test_a_backend_that_hangs_costs_a_deadline_and_opens_the_breaker() -> None:
    backend = ControlledText()
    backend.gate.clear()
    embedding = service(backend, deadline=0.02)
    for n in range(3):
        with pytest.raises(EmbeddingUnavailable, match="within"):
            await embedding.embed([f"text {n}"])
    assert embedding.breaker.state.phase is Phase.OPEN
    backend.gate.set()
    await embedding.close()


async def test_a_late_vector_is_kept_for_the_next_caller() -> None:
    backend = ControlledText()
    backend.gate.clear()
    embedding = service(backend, deadline=0.02)
    with pytest.raises(EmbeddingUnavailable):
        await embedding.embed(["slow"])
    backend.gate.set()
    async with asyncio.timeout(5):
        while not embedding.stats().cached:
            await asyncio.sleep(0.001)
    await embedding.embed(["slow"])
    assert backend.runs == ["slow"]
    await embedding.close()


async def test_closing_does_not_wait_for_a_thread_that_hangs() -> None:
    backend = ControlledText()
    backend.gate.clear()
    embedding = service(backend, deadline=0.02)
    with pytest.raises(EmbeddingUnavailable):
        await embedding.embed(["slow"])
    async with asyncio.timeout(5):
        await embedding.close()
    backend.gate.set()


async def test_those_who_wait_when_it_closes_get_an_answer() -> None:
    backend = ControlledText()
    backend.gate.clear()
    embedding = service(backend, deadline=30)
    waiting = [
        asyncio.get_running_loop().create_task(embedding.embed([f"text {n}"]))
        for n in range(6)
    ]
    async with asyncio.timeout(5):
        while len(backend.runs) < 2:
            await asyncio.sleep(0.001)
    await embedding.close()
    backend.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    refused = [a for a in answers if isinstance(a, EmbeddingUnavailable)]
    assert len(refused) == 4


def test_a_hanging_backend_does_not_hold_the_process() -> None:
    code = """
import asyncio
from cortex.foundation.breaker import Breaker
from cortex.foundation.cache import Cache
from cortex.inference.errors import EmbeddingUnavailable
from cortex.inference.text import EmbeddingOptions, TextEmbedding
from cortex.testing.inference import ControlledText
from cortex.testing.memory import VirtualClock

async def main():
    backend, clock = ControlledText(), VirtualClock()
    backend.gate.clear()
    options = EmbeddingOptions(threads=1, deadline_seconds=0.05)
    embedding = TextEmbedding(backend, cache=Cache(9), breaker=Breaker(clock),
                              clock=clock, options=options)
    try:
        await embedding.embed(["x"])
    except EmbeddingUnavailable:
        print("gave up")

asyncio.run(main())
"""
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert out.stdout == "gave up\n"


def broken_copy(folder: Path, fault: str) -> Path:
    shutil.copytree(bundled_folder(), folder)
    model = folder / "model.onnx"
    if fault == "missing":
        model.unlink()
    elif fault == "one-bit":
        data = bytearray(model.read_bytes())
        data[len(data) // 2] ^= 1
        model.write_bytes(data)
    elif fault == "cut":
        model.write_bytes(model.read_bytes()[:1000])
    elif fault == "manifest-broken":
        (folder / "manifest.json").write_text("{")
    elif fault == "manifest-poor":
        (folder / "manifest.json").write_text("{}")
    elif fault == "manifest-missing":
        (folder / "manifest.json").unlink()
    elif fault == "tokenizer-missing":
        (folder / "tokenizer.json").unlink()
    elif fault == "tokenizer":
        (folder / "tokenizer.json").write_text("{}")
    return folder


FAULTS = [
    "missing", "one-bit", "cut", "manifest-broken", "manifest-poor",
    "manifest-missing", "tokenizer", "tokenizer-missing",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_bundled_model_is_replaced_in_a_space_of_its_own(
    tmp_path: Path, fault: str
) -> None:
    counters = Counters(SystemClock())
    sound = open_text_backend(TextModelOptions(), counters)
    folder = broken_copy(tmp_path / "model", fault)
    stand_in = open_text_backend(TextModelOptions(folder=folder), counters)
    assert not sound.info.degraded
    assert stand_in.info.degraded
    assert stand_in.info.space != sound.info.space
    assert "stands in because" in stand_in.info.source
    assert stand_in.embed("still answers").shape == (384,)


@pytest.mark.parametrize("fault", ["missing", "cut", "tokenizer", "tokenizer-missing"])
def test_a_broken_model_of_the_users_own_is_never_replaced(
    tmp_path: Path, fault: str
) -> None:
    folder = broken_copy(tmp_path / "model", fault)
    options = TextModelOptions(Provider.ONNX, folder=folder)
    with pytest.raises(ModelUnusable) as refused:
        open_text_backend(options, Counters(SystemClock()))
    assert refused.value.hint


def test_without_onnx_runtime_the_server_still_has_vectors() -> None:
    code = """
import sys
from pathlib import Path
sys.modules["onnxruntime"] = None
from cortex.foundation.clock import SystemClock
from cortex.inference.providers import Provider, TextModelOptions, open_text_backend
from cortex.inference.errors import ModelUnusable
from cortex.inference.tokens.counters import Counters
counters = Counters(SystemClock())
info = open_text_backend(TextModelOptions(), counters).info
print(info.runtime, info.degraded)
try:
    open_text_backend(TextModelOptions(Provider.ONNX, Path("somewhere")), counters)
except ModelUnusable as error:
    print(error.hint)
"""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout == "hashing True\nInstall onnxruntime again.\n"
