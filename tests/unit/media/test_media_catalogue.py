"""The registry's entries of media models say what is really loaded."""

from importlib.metadata import version

import pytest

from cortex.inference.backends import acoustic, efficientnet, speech, words
from cortex.inference.media.catalogue import (
    ACOUSTIC,
    IMAGE,
    IMAGE_GRAPH_SHA256,
    MEDIA_MODELS,
    SPEECH,
    WORDS,
    MediaModel,
)
from cortex.inference.media.errors import NotInstalled


def test_the_hashes_are_those_that_loading_checks() -> None:
    assert IMAGE.info.sha256 == efficientnet.WEIGHTS_SHA256
    assert IMAGE_GRAPH_SHA256 == efficientnet.GRAPH_SHA256
    assert SPEECH.info.sha256 == speech.FILES["model.bin"]
    assert ACOUSTIC.info.sha256 == acoustic.FILES["embedding_model.onnx"]
    assert WORDS.info.sha256 in words.FILES.values()


def test_dimensions_are_those_of_the_vectors() -> None:
    assert IMAGE.info.dimensions == efficientnet.FEATURES
    assert ACOUSTIC.info.dimensions == acoustic.DIMENSIONS
    for model in MEDIA_MODELS.values():
        assert bool(model.info.dimensions) is bool(model.info.space)


@pytest.mark.parametrize("model", MEDIA_MODELS.values(), ids=MEDIA_MODELS)
def test_every_field_is_told_of_the_installed_package(model: MediaModel) -> None:
    assert model.installed
    assert model.path.is_dir()
    assert model.info.revision == version(model.package)
    assert model.package in model.info.source
    assert model.info.license in {"MIT", "Apache-2.0"}
    assert model.info.memory_bytes > 0


def test_an_extra_that_is_missing_is_named() -> None:
    gone = MediaModel(IMAGE.info, ("image",), "image", "no-such-package", "x")
    assert not gone.installed
    with pytest.raises(NotInstalled, match="image") as told:
        _ = gone.path
    assert told.value.data["missing"] == ["image"]
