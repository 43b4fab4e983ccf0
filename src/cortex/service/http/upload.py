"""Uploads of one file with some fields, streamed to a file without a name.

The file is bounded while it comes: by the limit of its modality where the form says
that before the file, else by the largest. It has no name on the disk, so nothing is
left of it when the client leaves or the server is killed.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from cortex.foundation.errors import Overloaded, PayloadTooLarge, ValidationError
from cortex.service.errors import MalformedBody

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

UPLOADS_MAX: Final = 8
"""Files that may be under way at once: 0.8 GB of disk at the worst."""

FIELD_BYTES_MAX: Final = 64 * 1024
"""Bytes of a field that is not the file."""

FIELDS_MAX: Final = 32
"""Parts of a form."""

FILE_FIELD: Final = "file"

_WRITE_BYTES: Final = 1024 * 1024
_NAME_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form held.

    Attributes:
        file: open, and gone when the request ends.
        declared: content type that came with the file.
    """

    file: BinaryIO
    size: int
    declared: str
    fields: Mapping[str, str]


@dataclass(slots=True)
class _Form:
    """Collects the parts; the parser calls it for each piece of each of them."""

    file: BinaryIO
    limits: Mapping[str, int]
    fields: dict[str, str] = field(default_factory=dict)
    declared: str = ""
    size: int = 0
    has_file: bool = False
    ended: bool = False
    waiting: bytearray = field(default_factory=bytearray)
    _name: str = ""
    _value: bytearray = field(default_factory=bytearray)
    _header: bytearray = field(default_factory=bytearray)
    _header_value: bytearray = field(default_factory=bytearray)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _parts: int = 0

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name_piece,
            "on_header_value": self._header_value_piece,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._piece,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    @property
    def limit(self) -> int:
        """Return the bytes that the file may have, as far as is known."""
        named = self.fields.get("modality", "").upper()
        return self.limits.get(named, max(self.limits.values()))

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > FIELDS_MAX:
            message = f"the form has more than {FIELDS_MAX} parts"
            raise ValidationError(message, field="body", limit=FIELDS_MAX)
        self._headers, self._name = {}, ""
        self._value = bytearray()

    def _header_name_piece(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value_piece(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._header_value)
        self._header, self._header_value = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        known = self._name in self.fields or (
            self._name == FILE_FIELD and self.has_file
        )
        if known or not self._name or len(self._name) > _NAME_CHARACTERS_MAX:
            message = "each part of the form needs a name of its own"
            raise ValidationError(message, field=self._name[:80] or "body")
        if self._name == FILE_FIELD:
            self.has_file = True
            declared = self._headers.get(b"content-type", b"")
            self.declared = declared.decode("latin-1")

    def _piece(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE_FIELD:
            self.size += end - start
            if self.size > self.limit:
                message = f"the file has more than {self.limit} bytes"
                raise PayloadTooLarge(message, field=FILE_FIELD, limit=self.limit)
            self.waiting += data[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES_MAX:
            message = f"{self._name} has more than {FIELD_BYTES_MAX} bytes"
            raise PayloadTooLarge(message, field=self._name, limit=FIELD_BYTES_MAX)

    def _end(self) -> None:
        if self._name == FILE_FIELD:
            return
        try:
            self.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            message = f"{self._name} is not UTF-8"
            raise ValidationError(message, field=self._name) from None

    def _all(self) -> None:
        self.ended = True


class Uploads:
    """Takes uploads, a few at a time."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Take the bytes that a file may have, by the form's ``modality``."""
        self._limits = limits
        self._under_way = 0

    @contextlib.asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Upload]:
        """Yield the form of a request; its file is gone afterwards.

        Raises:
            MalformedBody: it is no form, or ends too early.
            ValidationError: a part is wrong, or there is no file.
            PayloadTooLarge: a part is too large.
            Overloaded: too many uploads are under way.
        """
        if self._under_way >= UPLOADS_MAX:
            message = "too many uploads are under way"
            raise Overloaded(message, retry_after_seconds=1.0)
        self._under_way += 1
        try:
            with tempfile.TemporaryFile() as file:
                form = _Form(file, self._limits)
                await _receive(request, form)
                yield Upload(file, form.size, form.declared, form.fields)
        finally:
            self._under_way -= 1


async def _receive(request: Request, form: _Form) -> None:
    header = request.headers.get("content-type", "")
    _, options = parse_options_header(header)
    boundary = options.get(b"boundary")
    if not boundary:
        message = "the form's content type names no boundary"
        raise MalformedBody(message, field="content-type")
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            if len(form.waiting) >= _WRITE_BYTES:
                await _write(form)
        parser.finalize()
    except FormParserError:
        message = "the body is not a form"
        raise MalformedBody(message, field="body") from None
    if not form.ended:
        message = "the form ends too early"
        raise MalformedBody(message, field="body")
    if not form.has_file:
        message = "the form has no file"
        hint = "Send it as the part named 'file'."
        raise ValidationError(message, hint=hint, field=FILE_FIELD)
    await _write(form)


async def _write(form: _Form) -> None:
    data, form.waiting = form.waiting, bytearray()
    await asyncio.to_thread(_put, form.file, data)


def _put(file: BinaryIO, data: bytearray) -> None:
    file.write(data)
    file.flush()
