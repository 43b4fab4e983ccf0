"""Reads files with models: loads each when first needed and keeps it."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.resources import files
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from cortex.foundation.clock import Clock
from cortex.inference.media.catalogue import (
    ACOUSTIC,
    IMAGE,
    SPEECH,
    WORDS,
    MediaModel,
)
from cortex.inference.media.errors import BrokenMedia
from cortex.inference.media.kinds import (
    Label,
    MediaKind,
    Native,
    Reading,
    Sniffed,
    Want,
)
from cortex.telemetry.tracing import span

LABELS_KEPT: Final = 10
"""Labels of a picture that are told: ConSE's T (Norouzi et al. 2013)."""

HANDS: Final = 2
"""Threads that look at the frames of a film, each with a core of its own."""


class MediaReader:
    """Every media model, one call at a time."""

    def __init__(self, clock: Clock) -> None:
        """Load nothing yet."""
        self._clock = clock
        self._loaded: dict[str, Any] = {}
        self._used: dict[str, float] = {}
        self._untold: dict[str, float] = {}
        self._seconds = 0.0

    def read(self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]) -> Reading:
        """Return what was asked of the file.

        Raises:
            NotInstalled: a model or ffmpeg is not there.
            BrokenMedia: it cannot be decoded.
            EmbeddingFailed: a model failed on it.
        """
        self._seconds = 0.0
        self._used = {}
        readers = {
            MediaKind.IMAGE: self._picture,
            MediaKind.AUDIO: self._recording,
            MediaKind.VIDEO: self._film,
        }
        read = readers.get(sniffed.kind)
        if read is None:
            message = "a text needs no decoding"
            raise BrokenMedia(message, field="file")
        reading = replace(read(file, sniffed, wants), models=self._used)
        self._untold = {}
        return reading

    def _picture(
        self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]
    ) -> Reading:
        network = self._network()
        pictures: Any = import_module("cortex.inference.media.pictures")
        side = pictures.READ_SIDE_MAX if Want.WORDS in wants else 2 * network.side
        picture = pictures.Picture(file, sniffed.format, side)
        square = picture.square(network.side)
        words = ""
        if Want.WORDS in wants:
            reader = self._model("words", WORDS, self._open_words)
            with self._timed("words"):
                words = reader.read(picture.whole())
        labels, native = self._seen([square])
        return Reading(
            labels=labels,
            words=words,
            native=native,
            width=sniffed.width,
            height=sniffed.height,
            model_seconds=self._seconds,
        )

    def _seen(self, squares: Sequence[NDArray[np.uint8]]) -> tuple[list[Label], Native]:
        """Return the labels and the vector of one picture, or the mean of several."""
        run = self._network().model.run
        with self._timed("image"), ThreadPoolExecutor(HANDS) as hands:
            found = list(hands.map(run, squares))
        return self._named(found)

    def _seen_and_said(
        self, squares: Sequence[NDArray[np.uint8]], samples: NDArray[np.float32]
    ) -> tuple[list[Label], Native, str]:
        """Look at a film's frames while what was heard of it is told."""
        run, whisper = self._network().model.run, self._whisper()
        seen: list[Future[list[Any]]] = []

        def look() -> None:
            seen.append(hand.submit(lambda: [run(square) for square in squares]))

        with self._timed("film"), ThreadPoolExecutor(1) as hand:
            said = str(whisper.transcribe(samples, look))
            if not seen:  # there was nothing to listen to
                look()
            found = seen[0].result()
        return *self._named(found), said

    def _named(self, found: Sequence[Any]) -> tuple[list[Label], Native]:
        network = self._network()
        features = np.mean([one.features for one in found], axis=0)
        probabilities = np.mean([one.probabilities for one in found], axis=0)
        best = np.argsort(-probabilities)[:LABELS_KEPT]
        labels = [
            Label(network.names[place], float(probabilities[place])) for place in best
        ]
        return labels, Native(features, IMAGE.info.name, IMAGE.info.space)

    def _recording(
        self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]
    ) -> Reading:
        for needed in (SPEECH, ACOUSTIC):
            _ = needed.path
        sound: Any = import_module("cortex.inference.media.sound")
        if sniffed.format in sound.DECODED_HERE:
            samples = sound.decode_sound(file)
        else:
            samples = self._ffmpeg().sound(file, sniffed.format)
        native = None
        if Want.NATIVE in wants:
            native = self._heard(samples)
        transcript = self._said(samples) if Want.TRANSCRIPT in wants else ""
        return Reading(
            transcript=transcript,
            native=native,
            seconds=len(samples) / sound.SAMPLE_RATE,
            model_seconds=self._seconds,
        )

    def _said(self, samples: NDArray[np.float32]) -> str:
        whisper = self._whisper()
        with self._timed("speech"):
            return str(whisper.transcribe(samples))

    def _whisper(self) -> Any:
        return self._model("speech", SPEECH, self._open_speech)

    def _heard(self, samples: NDArray[np.float32]) -> Native:
        module: Any = import_module("cortex.inference.backends.acoustic")
        model = self._model(
            "acoustic", ACOUSTIC, lambda: module.Acoustic(ACOUSTIC.path)
        )
        with self._timed("acoustic"):
            vector = model.embed(samples)
        return Native(vector, ACOUSTIC.info.name, ACOUSTIC.info.space)

    def _film(
        self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]
    ) -> Reading:
        network, ffmpeg = self._network(), self._ffmpeg()
        film = ffmpeg.probe(file, sniffed.format)
        frames = ffmpeg.frames(file, sniffed.format, film, network.side)
        if Want.TRANSCRIPT in wants and film.has_sound and SPEECH.installed:
            sound = ffmpeg.sound(file, sniffed.format)
            labels, native, transcript = self._seen_and_said(frames, sound)
        else:
            labels, native, transcript = *self._seen(frames), ""
        return Reading(
            labels=labels,
            transcript=transcript,
            native=native,
            width=film.width,
            height=film.height,
            seconds=film.seconds,
            frames=len(frames),
            model_seconds=self._seconds,
        )

    def _network(self) -> "_Network":
        network: _Network = self._model("image", IMAGE, _open_network)
        return network

    def _ffmpeg(self) -> Any:
        film: Any = import_module("cortex.inference.media.film")
        return self._load("ffmpeg", film.Ffmpeg)

    def _open_speech(self) -> object:
        folder = SPEECH.path
        speech: Any = import_module("cortex.inference.backends.speech")
        return speech.Whisper(folder)

    def _open_words(self) -> object:
        folder = WORDS.path
        words: Any = import_module("cortex.inference.backends.words")
        return words.WordReader(folder)

    def _model(self, key: str, model: MediaModel, load: Callable[[], object]) -> Any:
        """Return the model, loaded; note that it was used, and what loading took.

        A file that fails later tells of nothing, so the next reading tells of the
        loading that was for it.
        """
        name, started = model.info.name, self._clock.monotonic()
        known = key in self._loaded
        found = self._load(key, load)
        if not known:
            self._untold[name] = self._clock.monotonic() - started
        self._used[name] = self._untold.get(name, 0.0)
        return found

    def _load(self, name: str, load: Callable[[], object]) -> Any:
        if name not in self._loaded:
            with span("media.load", model=name):
                self._loaded[name] = load()
        return self._loaded[name]

    @contextmanager
    def _timed(self, model: str) -> Any:
        started = self._clock.monotonic()
        with span("media.model", model=model):
            yield
        self._seconds += self._clock.monotonic() - started


@dataclass(frozen=True, slots=True)
class _Network:
    model: Any
    names: tuple[str, ...]
    side: int


def _open_network() -> _Network:
    folder = IMAGE.path
    module: Any = import_module("cortex.inference.backends.efficientnet")
    weights = (folder / module.WEIGHTS_FILE).read_bytes()
    labels = files("cortex.inference") / "models" / IMAGE.info.name / "labels.txt"
    return _Network(
        module.EfficientNetLite0(weights),
        tuple(labels.read_text(encoding="utf-8").splitlines()),
        module.SIDE,
    )
