"""Finds the counter for a model: exact where it can be, else a bound that holds.

========  =============================================  =====
family    counter                                        exact
========  =============================================  =====
GPT       quicktok, o200k or cl100k                      yes
Llama 3   quicktok                                       yes
Qwen 2-3  quicktok                                       yes
Tekken    mistral-common where installed, else bound     yes
Claude    Anthropic with a key, else ctok, else bound    no
others    bound                                          no
========  =============================================  =====

A vocabulary is loaded when its first model is asked for, which takes up to a second;
asking again is a dictionary look-up. Nothing here reads the network unless a key for
Anthropic was given.
"""

import threading
from importlib import import_module
from typing import Final

from cortex.foundation.breaker import Breaker
from cortex.foundation.clock import Clock
from cortex.foundation.reclaim import return_freed_memory
from cortex.inference.ports import TokenCounter
from cortex.inference.tokens.bounds import (
    ANY_TOKENIZER,
    CLAUDE_3,
    ByteBound,
    WeightedBound,
    Weights,
)
from cortex.inference.tokens.claude import AnthropicCounter, AnthropicOptions
from cortex.inference.tokens.families import Family, family_of

_QUICK: Final = frozenset({Family.O200K, Family.CL100K, Family.LLAMA3, Family.QWEN})
_CTOK_VERSIONS: Final = {Family.CLAUDE_3: "3.0", Family.CLAUDE_4_7: "4.8"}

REMOTE_COUNTERS_MAX: Final = 8
"""Claude models asked of Anthropic at once: each keeps a connection and its counts."""


class Counters:
    """Implements the `TokenCounters` port; thread-safe."""

    def __init__(self, clock: Clock, anthropic: AnthropicOptions | None = None) -> None:
        """Load nothing yet.

        Args:
            clock: times the pause after Anthropic failed.
            anthropic: with a key, Claude's tokens are asked of Anthropic.
        """
        self._clock = clock
        self._anthropic = anthropic or AnthropicOptions()
        self._lock = threading.RLock()
        self._offline: dict[Family, TokenCounter] = {}
        self._remote: dict[str, AnthropicCounter] = {}

    def for_model(self, model: str) -> TokenCounter:
        """Return the counter for ``model``; unknown names get a safe upper bound."""
        family = family_of(model)
        with self._lock:
            offline = self._offline.get(family)
            if offline is None:
                offline = self._offline[family] = self._load(family)
                # Parsing a vocabulary leaves 10 to 30 MB behind.
                return_freed_memory()
            if family not in _CTOK_VERSIONS or not self._anthropic.api_key:
                return offline
            return self._asking(model, offline)

    def close(self) -> None:
        """Close connections to Anthropic, if there are any. Idempotent."""
        with self._lock:
            for counter in self._remote.values():
                counter.close()
            self._remote.clear()

    def _asking(self, model: str, offline: TokenCounter) -> TokenCounter:
        found = self._remote.get(model)
        if found is not None:
            return found
        if len(self._remote) >= REMOTE_COUNTERS_MAX:
            return offline
        breaker = Breaker(self._clock)
        counter = AnthropicCounter(model, self._anthropic, offline, breaker)
        self._remote[model] = counter
        return counter

    def _load(self, family: Family) -> TokenCounter:
        # A library that is not installed, or does not load here, costs exactness and
        # nothing else; that is why they are imported by name.
        try:
            if family in _QUICK:
                return self._made("quick", "QuickCounter", family.value)
            if family is Family.TEKKEN:
                return self._made("mistral", "MistralCounter")
            if family in _CTOK_VERSIONS:
                version = _CTOK_VERSIONS[family]
                return self._made("reconstruction", "CtokCounter", version)
        except (ImportError, OSError, RuntimeError):
            pass
        return self._bound(CLAUDE_3 if family is Family.CLAUDE_3 else ANY_TOKENIZER)

    def _bound(self, weights: Weights) -> TokenCounter:
        reference = self._offline.get(Family.CL100K)
        if reference is None:
            try:
                reference = self._made("quick", "QuickCounter", Family.CL100K.value)
            except (ImportError, OSError, RuntimeError):
                return ByteBound()
            self._offline[Family.CL100K] = reference
        return WeightedBound(reference, weights) if reference.exact else reference

    def _made(self, module: str, name: str, *arguments: str) -> TokenCounter:
        found = getattr(import_module(f"cortex.inference.tokens.{module}"), name)
        counter: TokenCounter = found(*arguments)
        return counter
