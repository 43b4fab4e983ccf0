"""Exact counts of GPT, Llama 3 and Qwen, by `quicktok` and the ranks in its wheel."""

from typing import Final

import quicktok

from cortex.inference.model import well_formed

ENCODINGS: Final = {
    "o200k": "o200k_base",
    "cl100k": "cl100k_base",
    "llama3": "llama3",
    "qwen": "qwen3",
}
"""Our name to quicktok's; a vocabulary takes 30 (cl100k) to 63 MB (o200k)."""


class QuickCounter:
    """One vocabulary; text that spells a special token counts as the text it is."""

    def __init__(self, name: str) -> None:
        """Load the vocabulary: 0.2 to 0.5 s.

        Raises:
            RuntimeError: the data of the quicktok wheel are missing.
        """
        self._name = name
        self._encoding = quicktok.get_encoding(ENCODINGS[name])

    @property
    def method(self) -> str:
        """Return what counts."""
        return f"quicktok:{self._name}"

    @property
    def exact(self) -> bool:
        """Return that the model itself would count the same."""
        return True

    def count(self, text: str) -> int:
        """Return the number of tokens in ``text``."""
        return int(self._encoding.count(well_formed(text)))
