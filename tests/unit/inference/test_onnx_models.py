"""The bundled model, a user's own, and how the processor decides."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cortex.inference.backends.bundled import open_bundled
from cortex.inference.backends.cpu import multiplies_signed_bytes_exactly
from cortex.inference.backends.onnx import OnnxText
from cortex.inference.backends.user_onnx import open_user_onnx
from cortex.inference.errors import EmbeddingFailed, ModelUnusable
from cortex.inference.packaged import bundled_folder

PARAPHRASES = [
    ("A man is playing a guitar.", "Someone plays an instrument with strings."),
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
    ("How do I reset my password?", "I forgot my login and need a new one."),
    ("She was born in Paris in 1980.", "Her birthplace is the French capital."),
    ("The stock market fell sharply.", "Share prices dropped a lot today."),
    ("We adopted a puppy last week.", "Our family recently got a young dog."),
    ("Heavy rain flooded the streets.", "Roads are under water after the storm."),
    ("He teaches maths at a school.", "He works as a mathematics teacher."),
]


@pytest.fixture(scope="module")
def model() -> OnnxText:
    return open_bundled()


def test_it_is_the_model_that_the_manifest_names(model: OnnxText) -> None:
    assert model.info.space == "minilm-l6-v2-int8:38bc43d4"
    assert model.info.license == "Apache-2.0"
    assert model.info.sha256.startswith("38bc43d4")
    assert (model.info.dimensions, model.info.max_tokens) == (384, 256)


def test_license_and_notice_lie_beside_it() -> None:
    assert "Apache License" in (bundled_folder() / "LICENSE").read_text()
    assert "all-MiniLM-L6-v2" in (bundled_folder() / "NOTICE").read_text()


def test_a_paraphrase_is_closer_than_any_other_sentence(model: OnnxText) -> None:
    left = np.stack([model.embed(a) for a, _ in PARAPHRASES])
    right = np.stack([model.embed(b) for _, b in PARAPHRASES])
    similar = left @ right.T
    assert similar.argmax(1).tolist() == list(range(len(PARAPHRASES)))
    others = similar[~np.eye(len(PARAPHRASES), dtype=bool)]
    assert similar.diagonal().mean() > others.mean() + 0.35


def test_neighbours_in_a_session_do_not_change_a_vector(model: OnnxText) -> None:
    text = "a short text"
    alone = model.embed(text)
    model.embed("a much longer text " * 40)
    assert np.array_equal(model.embed(text), alone)


def test_only_the_first_tokens_are_read_and_all_are_counted(model: OnnxText) -> None:
    text = " ".join(["river"] * 254)
    assert model.count_tokens(text) == 256
    assert model.count_tokens(text + " bank" * 500) == 756
    longer = model.embed(text + " bank" * 500)
    assert np.array_equal(longer, model.embed(text))


def copy_model(folder: Path) -> Path:
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(bundled_folder() / name, folder / name)
    return folder


def test_a_users_copy_gives_the_same_vectors_in_its_own_space(
    tmp_path: Path, model: OnnxText
) -> None:
    own = open_user_onnx(copy_model(tmp_path / "mine"), max_tokens=256)
    assert np.array_equal(own.embed("the same text"), model.embed("the same text"))
    assert own.info.space.startswith("mine:")
    assert own.info.dimensions == 384


def test_the_tokenizers_own_limit_holds_unless_told_otherwise(tmp_path: Path) -> None:
    folder = copy_model(tmp_path / "mine")
    assert open_user_onnx(folder).info.max_tokens == 128
    assert open_user_onnx(folder, max_tokens=64).info.max_tokens == 64


def test_another_tokenizer_is_another_space(tmp_path: Path) -> None:
    folder = copy_model(tmp_path / "mine")
    before = open_user_onnx(folder).info.space
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert open_user_onnx(folder).info.space != before


def tiny_model(folder: Path, graph: str) -> Path:
    """Make a model of a graph in which the vector of a token is (id, 1)."""
    folder.mkdir()
    shutil.copy(bundled_folder() / "tokenizer.json", folder)
    graphs = Path(__file__).with_name("graphs")
    shutil.copy(graphs / f"{graph}.onnx", folder / "model.onnx")
    return folder


@pytest.mark.parametrize("graph", ["token_vectors_int64", "token_vectors_int32"])
def test_token_vectors_are_averaged(tmp_path: Path, graph: str) -> None:
    own = open_user_onnx(tiny_model(tmp_path / "m", graph))
    mean = (101 + 7592 + 102) / 3
    expected = np.array([mean, 1]) / np.hypot(mean, 1)
    assert np.allclose(own.embed("hello"), expected)


def test_a_pooled_output_is_taken_as_it_is(tmp_path: Path) -> None:
    own = open_user_onnx(tiny_model(tmp_path / "m", "pooled"))
    expected = np.array([7592, 1]) / np.hypot(7592, 1)
    assert np.allclose(own.embed("hello"), expected)


def test_a_text_that_the_graph_cannot_run_is_an_embedding_error(
    tmp_path: Path,
) -> None:
    own = open_user_onnx(tiny_model(tmp_path / "m", "table_of_2000"))
    with pytest.raises(EmbeddingFailed):
        own.embed("hello")


def test_a_graph_that_fails_when_tried_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="could not embed"):
        open_user_onnx(tiny_model(tmp_path / "m", "table_of_100"))


@pytest.mark.parametrize(
    ("graph", "named"), [("wants_pixels", "pixel_values"), ("wants_floats", "float")]
)
def test_a_graph_that_wants_something_else_is_named(
    tmp_path: Path, graph: str, named: str
) -> None:
    with pytest.raises(ModelUnusable, match=named):
        open_user_onnx(tiny_model(tmp_path / "m", graph))


@pytest.mark.parametrize(
    ("machine", "flags", "exact"),
    [
        ("x86_64", "flags\t\t: fpu avx2 avx512_vnni", True),
        ("AMD64", "flags : avx_vnni", True),
        ("x86_64", "flags\t\t: fpu avx2 avx512f", False),
        ("x86_64", "", False),
        ("aarch64", "Features : asimd", True),
        ("arm64", "", True),
    ],
)
def test_exact_sums_depend_on_the_processor(
    tmp_path: Path, machine: str, flags: str, exact: bool
) -> None:
    description = tmp_path / "cpuinfo"
    description.write_text(f"processor : 0\n{flags}\n")
    assert multiplies_signed_bytes_exactly(machine, description) is exact


def test_an_unknown_processor_is_taken_for_the_careful_kind(tmp_path: Path) -> None:
    assert not multiplies_signed_bytes_exactly("x86_64", tmp_path / "nothing")
    assert isinstance(multiplies_signed_bytes_exactly(), bool)
