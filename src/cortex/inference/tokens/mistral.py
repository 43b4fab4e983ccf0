"""Exact counts of Mistral's Tekken models, by the extra `mistral-common`."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from cortex.inference.model import well_formed

VOCABULARY: Final = "tekken_240911.json"
"""The release of September 2024; that of July has the same merges."""


class MistralCounter:
    """The Tekken vocabulary, about 160 MB with its library."""

    def __init__(self) -> None:
        """Load the vocabulary: about a second."""
        data = Path(str(files("mistral_common"))) / "data"
        self._tokenizer = Tekkenizer.from_file(data / VOCABULARY)

    @property
    def method(self) -> str:
        """Return what counts."""
        return "mistral-common:tekken"

    @property
    def exact(self) -> bool:
        """Return that the model itself would count the same."""
        return True

    def count(self, text: str) -> int:
        """Return the number of tokens in ``text``."""
        return len(self._tokenizer.encode(well_formed(text), bos=False, eos=False))
