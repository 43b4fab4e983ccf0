"""Full bundles as compressed objects in cold storage.

An object holds the 256 entries of one bundle and the bodies kept beside them, so that a
bundle can be brought back whole. It is judged when read: its entries against the
published leaf hashes, its bodies against their names.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from cortex.ledger.errors import ProofInvalid
from cortex.ledger.objects import ObjectStore
from cortex.ledger.tiles import TILE_WIDTH, decode_bundle, encode_bundle, index_path

OBJECT_BYTES_MAX = 1024 * 1024 * 1024
"""Bytes of one object when unpacked: 256 entries with 4 MiB of content each."""

_LEVEL = 10
_MAGIC = b"cortex-bundle/1\n"
_WORD = 8
_NAME = 32


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle with all that belongs to it.

    Attributes:
        entries: the 256 leaves.
        blobs: (index, SHA-256, body) of the bodies beside them.
    """

    entries: Sequence[bytes]
    blobs: Sequence[tuple[int, str, bytes]] = ()


def object_key(index: int) -> str:
    """Return the key of a bundle's object."""
    return f"bundles/{index_path(index)}.zst"


class Archive:
    """Bundles in an object store."""

    def __init__(self, objects: ObjectStore) -> None:
        """Take the store."""
        self._objects = objects

    def put(self, index: int, bundle: Bundle) -> None:
        """Store a bundle and read it back.

        Raises:
            ObjectExists: another bundle lies there.
            ProofInvalid: what was read back is not what was stored.
        """
        key, data = object_key(index), pack(bundle)
        self._objects.put(key, data)
        if self._objects.get(key) != data:
            message = f"the archive gave back other bytes for {key}"
            raise ProofInvalid(message, field="object")

    def get(self, index: int) -> Bundle:
        """Return a bundle.

        Raises:
            ObjectMissing: it is not in the archive.
            ProofInvalid: the object is damaged.
        """
        return unpack(self._objects.get(object_key(index)))


def pack(bundle: Bundle) -> bytes:
    """Return a bundle as a compressed object; the same bundle gives the same bytes."""
    body = encode_bundle(bundle.entries)
    parts = [_MAGIC, len(body).to_bytes(_WORD, "big"), body]
    for index, name, blob in sorted(bundle.blobs):
        parts += [
            index.to_bytes(_WORD, "big"),
            bytes.fromhex(name),
            len(blob).to_bytes(_WORD, "big"),
            blob,
        ]
    return zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(parts))


def unpack(data: bytes) -> Bundle:
    """Read such an object.

    Raises:
        ProofInvalid: it is damaged.
    """
    try:
        raw = zstandard.ZstdDecompressor().decompress(
            data, max_output_size=OBJECT_BYTES_MAX
        )
    except zstandard.ZstdError as error:
        message = f"the object is damaged: {error}"
        raise ProofInvalid(message, field="object") from error
    if not raw.startswith(_MAGIC):
        raise ProofInvalid("the object is no bundle", field="object")
    reader = _Reader(raw, len(_MAGIC))
    entries = decode_bundle(reader.take(reader.word()), TILE_WIDTH)
    blobs = []
    while reader.left():
        index, name = reader.word(), reader.take(_NAME).hex()
        body = reader.take(reader.word())
        if hashlib.sha256(body).hexdigest() != name:
            message = f"content of entry {index} is damaged in the archive"
            raise ProofInvalid(message, field="object")
        blobs.append((index, name, body))
    return Bundle(entries, blobs)


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def left(self) -> bool:
        return self._position < len(self._data)

    def word(self) -> int:
        return int.from_bytes(self.take(_WORD), "big")

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise ProofInvalid("the object ends early", field="object")
        taken = self._data[self._position : end]
        self._position = end
        return taken
