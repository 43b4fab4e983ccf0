"""Pure rules: spaces, unit vectors, manifests, well-formed text."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.errors import ValidationError
from cortex.inference.model import (
    combined_hash,
    mean_pooled,
    normalised,
    parse_manifest,
    space_id,
    well_formed,
)
from cortex.inference.packaged import bundled_folder


def test_a_space_is_named_after_the_model_and_what_decides_it() -> None:
    first = combined_hash(weights="aa", dimensions=384)
    assert space_id("m", first) == f"m:{first[:8]}"
    assert combined_hash(dimensions=384, weights="aa") == first
    assert combined_hash(dimensions=256, weights="aa") != first


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_a_normalised_vector_has_length_one(numbers: list[float]) -> None:
    vector = np.array(numbers, np.float32)
    if float(np.abs(vector).max()) < 1e-6:
        return
    assert np.linalg.norm(normalised(vector)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_direction_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        normalised(np.array(bad, np.float32))


def test_masked_tokens_do_not_count_for_the_mean() -> None:
    tokens = np.array([[1, 2], [3, 4], [100, 100]], np.float32)
    assert mean_pooled(tokens, np.array([1, 1, 0])).tolist() == [2, 3]
    assert mean_pooled(tokens, np.array([0, 0, 0])).tolist() == [0, 0]


@given(st.text())
def test_well_formed_text_is_left_alone(text: str) -> None:
    assert well_formed(text) == text


@given(st.text(st.characters()))
def test_any_text_can_be_encoded_once_it_is_well_formed(text: str) -> None:
    assert well_formed(well_formed(text)).encode().decode() == well_formed(text)


def test_lone_surrogates_are_replaced() -> None:
    assert well_formed("a\ud800b") == "a\N{REPLACEMENT CHARACTER}b"
    assert well_formed("\ud83d\ude42") == "🙂"


def manifest() -> dict[str, object]:
    loaded: dict[str, object] = json.loads(
        (bundled_folder() / "manifest.json").read_text()
    )
    return loaded


def test_the_shipped_manifest_is_sound() -> None:
    parsed = parse_manifest(manifest())
    assert parsed.info.sha256 == parsed.files["model.onnx"]


@pytest.mark.parametrize("field", ["name", "space", "dimensions", "files"])
@pytest.mark.parametrize("value", [None, [], 1.5])
def test_a_poor_manifest_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_manifest(manifest() | {field: value})
    assert refused.value.data["field"] == field


def test_a_manifest_is_an_object() -> None:
    with pytest.raises(ValidationError):
        parse_manifest([])
