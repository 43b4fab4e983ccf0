"""Cold content: zstd frames (RFC 8878), one a memory.

No shared dictionary: a dictionary holds pieces of the texts that it was trained on,
which a forget could not take back.
"""

from typing import Final

import zstandard

COMPRESSION_LEVEL: Final = 9
"""zstd level: within 3 % of the densest on prose, at a tenth of its time."""

CONTENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes that one frame may unpack to: 100 000 characters of 4 bytes, ten times over."""


def compress(content: str) -> bytes:
    """Return the content as one zstd frame that states its size."""
    compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    return compressor.compress(content.encode())


def decompress(frame: bytes) -> str:
    """Return the content of a frame made by `compress`.

    Raises `zstandard.ZstdError` when the frame is damaged or unpacks to more than
    `CONTENT_BYTES_MAX`.
    """
    decompressor = zstandard.ZstdDecompressor()
    return decompressor.decompress(frame, max_output_size=CONTENT_BYTES_MAX).decode()
