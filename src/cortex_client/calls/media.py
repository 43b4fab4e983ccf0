"""Texts and files to vectors, and files to memories."""

import json
import mimetypes
import secrets
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Final, Unpack

from cortex_client.call import Call, Traced, traced
from cortex_client.calls.bodies import compact
from cortex_client.calls.memory import MemoryFields
from cortex_client.decoding import decode
from cortex_client.errors import ConfigurationError
from cortex_client.media_wire import Embedding, RememberedFile

File = str | PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or a file open for reading bytes."""

PATH: Final = "/embed/multimodal"


class EmbedOptions(Traced, total=False):
    """How to embed.

    ``modality`` is TEXT, IMAGE, AUDIO or VIDEO; guessed from a path's ending.
    ``normalize``: whether the vector shall have length 1. ``target`` is ``text`` (the
    space of texts) or ``native`` (the media model's own). ``ocr`` reads the words in a
    picture, too.
    """

    modality: str
    normalize: bool
    target: str
    ocr: bool


class FileOptions(MemoryFields, total=False):
    """What to say of the memory; ``caption`` goes before what the file shows."""

    caption: str
    ocr: bool


def embed(
    text: str | None = None,
    *,
    file: File | None = None,
    **options: Unpack[EmbedOptions],
) -> Call[Embedding]:
    """Return the vector of ``text`` or of ``file``.

    Raises:
        ConfigurationError: not exactly one of both is given, or the modality of the
            file cannot be guessed.
        OSError: the file cannot be read.
    """
    correlation_id = options.pop("correlation_id", None)
    fields = compact(options)
    if (text is None) == (file is None):
        message = "embed takes either a text or a file"
        raise ConfigurationError(message)
    if file is not None:
        fields["modality"] = options.get("modality") or _guessed_modality(file)
        body, headers = _form(fields, file)
        return Call(
            "POST",
            PATH,
            lambda answer: decode(Embedding, answer.body),
            body=body,
            headers={**headers, **traced(correlation_id)},
        )
    plain = not fields
    return Call(
        "POST",
        "/embed" if plain else PATH,
        lambda answer: decode(Embedding, answer.body),
        body={"text": text, **({} if plain else {"modality": "TEXT", **fields})},
        headers=traced(correlation_id),
    )


def remember_file(file: File, **fields: Unpack[FileOptions]) -> Call[RememberedFile]:
    """Store what a picture, recording or film shows and says; texts find it.

    The server does not keep the file: let ``source`` say where it is.

    Raises:
        ConfigurationError: the modality of the file cannot be guessed.
        OSError: the file cannot be read.
    """
    correlation_id = fields.pop("correlation_id", None)
    ocr = fields.pop("ocr", None)
    modality = fields.pop("modality", None)
    item: dict[str, object] = dict(compact(fields))
    caption = item.pop("caption", None)
    if caption:
        item["content"] = caption
    told = {
        "modality": modality or _guessed_modality(file),
        "item": json.dumps(item, default=list),
        "ocr": ocr,
    }
    body, headers = _form(compact(told), file)
    return Call(
        "POST",
        "/memory/media",
        lambda answer: decode(RememberedFile, answer.body),
        body=body,
        headers={**headers, **traced(correlation_id)},
    )


def _guessed_modality(file: File) -> str:
    """Return the modality that the ending of a path stands for.

    Raises:
        ConfigurationError: it stands for none.
        OSError: there is no such file.
    """
    if isinstance(file, str | PathLike):
        Path(file).stat()  # one that is not there is told as that
        kind = (mimetypes.guess_type(str(file))[0] or "").partition("/")[0]
        if kind in {"text", "image", "audio", "video"}:
            return kind.upper()
    message = "the modality of the file is not known"
    hint = "Say modality='IMAGE', 'AUDIO', 'VIDEO' or 'TEXT'."
    raise ConfigurationError(message, hint=hint)


def _form(fields: Mapping[str, object], file: File) -> tuple[bytes, dict[str, str]]:
    """Return a form (RFC 7578) and its header; the file is the last part."""
    boundary = secrets.token_hex(16)
    mark = f"--{boundary}\r\n".encode()
    disposition = "Content-Disposition: form-data; name="
    parts = [
        mark + f'{disposition}"{name}"\r\n\r\n{_plain(value)}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'{disposition}"file"; filename="file"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    parts += [mark, head.encode(), _content(file), f"\r\n--{boundary}--\r\n".encode()]
    header = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return b"".join(parts), header


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _content(file: File) -> bytes:
    if isinstance(file, bytes):
        return file
    if isinstance(file, str | PathLike):
        return Path(file).read_bytes()
    return file.read()
