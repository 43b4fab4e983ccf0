"""What a file holds in words, and how labels become one vector."""

import numpy as np
import pytest

from cortex.inference.media.description import (
    described,
    facts,
    labels_of,
    mixed,
)
from cortex.inference.media.kinds import Label, MediaKind, Reading

CAT = (Label("tabby cat", 0.8), Label("lynx", 0.15), Label("tray", 0.05))


def test_a_picture_is_told_by_its_likely_labels_and_its_caption() -> None:
    told = described(MediaKind.IMAGE, Reading(labels=CAT, words="BEWARE"), " Ana's ")
    assert told == "Ana's\nPicture: tabby cat, lynx.\nBEWARE"


def test_what_says_nothing_is_told_so() -> None:
    assert described(MediaKind.AUDIO, Reading()) == "Recording without words."


def test_facts_give_the_labels_back() -> None:
    told = facts(Reading(labels=CAT), mime_type="image/png", size=9, sha256="0" * 64)
    assert labels_of({"media": told}) == CAT


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"media": 3},
        {"media": {"labels": "cat"}},
        {
            "media": {
                "labels": [["cat"], [3, 0.5], ["cat", "0.5"], ["cat", -1], ["", 1]]
            }
        },
        {"media": {"labels": [["cat", float("nan")], ["c" * 101, 0.5], ["cat", 2]]}},
    ],
)
def test_metadata_that_hold_no_labels_give_none(metadata: dict[str, object]) -> None:
    assert labels_of(metadata) == ()


def test_a_mixture_is_the_mean_by_weight() -> None:
    one, other = np.float32([1, 0]), np.float32([0, 1])
    assert mixed([one, other], [3, 1]).tolist() == [0.75, 0.25]
    with pytest.raises(ValueError, match="weight"):
        mixed([one], [0.0])
