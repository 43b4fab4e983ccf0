"""The log-mel spectrogram that Whisper reads.

80 bands after Slaney's scale over 25 ms windows every 10 ms of 16 kHz sound, in
log10 with 8 decades of range below the loudest (Radford et al. 2022,
arXiv:2212.04356, section 2.2).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE: Final = 16_000
"""Samples a second of everything here."""

HOP: Final = 160
BANDS: Final = 80

_WINDOW: Final = 400
_FLOOR: Final = 1e-10
_DECADES: Final = 8.0
_LINEAR_HZ: Final = 200.0 / 3
_LOG_FROM_HZ: Final = 1000.0
_LOG_STEP: Final = np.log(6.4) / 27.0


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the spectrogram, frames by bands, one frame for each whole hop."""
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP]
    windows = windows[: len(samples) // HOP]
    hann = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    waves = np.fft.rfft(windows * hann)
    power = np.square(waves.real) + np.square(waves.imag)
    bands = power.astype(np.float32) @ _filters().T
    loud = np.log10(np.maximum(bands, _FLOOR))
    loud = np.maximum(loud, loud.max() - _DECADES)
    scaled: NDArray[np.float32] = ((loud + 4.0) / 4.0).astype(np.float32)
    return scaled


def _filters() -> NDArray[np.float32]:
    """Return triangles of equal area over the bins of the transform (Slaney 1998)."""
    bins = np.fft.rfftfreq(_WINDOW, 1 / SAMPLE_RATE)
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), BANDS + 2))
    rising = (bins[None] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None]) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = (
        triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    ).astype(np.float32)
    return filters


def _mel(hertz: float) -> float:
    if hertz < _LOG_FROM_HZ:
        return hertz / _LINEAR_HZ
    return _LOG_FROM_HZ / _LINEAR_HZ + float(np.log(hertz / _LOG_FROM_HZ) / _LOG_STEP)


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = _LOG_FROM_HZ / _LINEAR_HZ
    above = _LOG_FROM_HZ * np.exp(_LOG_STEP * (mels - turn))
    return np.where(mels < turn, mels * _LINEAR_HZ, above)
