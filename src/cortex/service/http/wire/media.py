"""Files of any modality on the wire."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic import ValidationError as PydanticError

from cortex.foundation.errors import ValidationError
from cortex.inference.media.errors import InvalidModality
from cortex.inference.media.kinds import BYTES_MAX, MediaKind
from cortex.memory.model import NewMemory
from cortex.service.faults import invalid_input
from cortex.service.fields import Wire
from cortex.service.http.wire.memory import MemoryBody
from cortex.usecases.media import (
    EmbeddedMedia,
    MediaOptions,
    RememberedMedia,
    Target,
)

MODALITIES: Final = tuple(kind.name for kind in MediaKind)
LIMITS: Final = {kind.name: BYTES_MAX[kind] for kind in MediaKind}

_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}


def modality(named: str | None) -> MediaKind:
    """Return the modality of this name.

    Raises:
        InvalidModality: there is none.
    """
    try:
        return MediaKind((named or "").lower())
    except ValueError:
        message = "modality must be one of " + ", ".join(MODALITIES)
        raise InvalidModality(
            message, field="modality", known=list(MODALITIES)
        ) from None


def _flag(value: object) -> object:
    """Read what forms send for true and false."""
    return _WORDS.get(value.lower(), value) if isinstance(value, str) else value


Switch = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
ModalityName = Annotated[str, Field(json_schema_extra={"enum": list(MODALITIES)})]


class OptionFields(Wire):
    """What to make of a file or a text."""

    modality: ModalityName
    normalize: Annotated[Switch, Field(description="Length 1 or as made.")] = True
    target: Annotated[
        Target, Field(description="The space of texts, or the media model's own.")
    ] = Target.TEXT
    ocr: Annotated[Switch, Field(description="Read words in pictures; slow.")] = False

    def options(self) -> MediaOptions:
        """Return the options."""
        return MediaOptions(self.normalize, self.target, self.ocr)


class MultimodalTextBody(OptionFields):
    """POST /embed/multimodal with a text."""

    text: Annotated[str, Field(min_length=1)]


class LabelAnswer(Wire):
    """One thing that a picture may show."""

    name: str
    probability: float


class FoundAnswer(Wire):
    """What was found in a file; what does not apply is left out."""

    labels: list[LabelAnswer] | None = None
    transcript: str | None = None
    words: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int | None = None


class MultimodalAnswer(Wire):
    """A vector, and how it was made."""

    embedding: list[float]
    modality: str
    mime_type: str
    size: int
    model: str
    dimensions: int
    processing_time_ms: float
    space: str
    method: str
    truncated: bool
    found: FoundAnswer


class MediaItemFields(Wire):
    """The fields of POST /memory/media beside the file."""

    modality: ModalityName
    item: Annotated[
        str,
        Field(
            description="JSON object of a memory; its content is a caption and may "
            "be left out."
        ),
    ] = "{}"
    ocr: Switch = False

    def memory(self) -> MemoryBody:
        """Return the memory without what the file will add.

        Raises:
            ValidationError: the item is not a memory.
        """
        try:
            value = orjson.loads(self.item)
        except orjson.JSONDecodeError as error:
            message = f"item is not valid JSON: {error.msg}"
            raise ValidationError(message, field="item") from None
        if not isinstance(value, dict):
            message = "item must be a JSON object"
            raise ValidationError(message, field="item")
        captioned = bool(str(value.get("content") or "").strip())
        filled = value if captioned else {**value, "content": "-"}
        try:
            body = MemoryBody.model_validate(filled)
        except PydanticError as error:
            raise invalid_input(error.errors(include_input=False)) from None
        return body if captioned else body.model_copy(update={"content": ""})


class RememberedMediaAnswer(Wire):
    """A file that became a memory."""

    id: str
    created: bool
    embedding: str
    quarantined: str
    modality: str
    mime_type: str
    size: int
    sha256: str
    content: str
    found: FoundAnswer


def fields(given: Mapping[str, str], kind: type[OptionFields]) -> OptionFields:
    """Return a form's fields as the wire model."""
    try:
        return kind.model_validate(dict(given))
    except PydanticError as error:
        raise invalid_input(error.errors(include_input=False)) from None


def item_fields(given: Mapping[str, str]) -> MediaItemFields:
    """Return a form's fields as the wire model."""
    try:
        return MediaItemFields.model_validate(dict(given))
    except PydanticError as error:
        raise invalid_input(error.errors(include_input=False)) from None


def domain(body: MemoryBody) -> NewMemory:
    """Return the memory as the journey takes it."""
    return body.domain(body.session_id)


def embedded(value: EmbeddedMedia) -> dict[str, object]:
    """Shape the answer of POST /embed/multimodal."""
    return {
        "embedding": value.vector,
        "modality": value.kind.name,
        "mime_type": value.mime_type,
        "size": value.size,
        "model": value.model,
        "dimensions": len(value.vector),
        "processing_time_ms": round(value.seconds * 1000, 3),
        "space": value.space,
        "method": value.method,
        "truncated": value.truncated,
        "found": _found(value.reading, value.kind),
    }


def remembered(value: RememberedMedia, kind: MediaKind) -> dict[str, object]:
    """Shape the answer of POST /memory/media."""
    return {
        "id": value.stored.id,
        "created": value.stored.created,
        "embedding": value.stored.embedding,
        "quarantined": value.stored.quarantined,
        "modality": kind.name,
        "mime_type": value.mime_type,
        "size": value.size,
        "sha256": value.sha256,
        "content": value.content,
        "found": _found(value.reading, kind),
    }


def _found(reading: Any, kind: MediaKind) -> dict[str, object]:
    if kind is MediaKind.TEXT:
        return {}
    told: dict[str, object] = {
        "labels": [
            {"name": label.name, "probability": round(label.probability, 4)}
            for label in reading.labels
        ],
        "transcript": reading.transcript,
        "words": reading.words,
        "width": reading.width,
        "height": reading.height,
        "seconds": reading.seconds,
        "frames": reading.frames,
    }
    return {name: value for name, value in told.items() if value or value == ""}


def form(model: type[Wire]) -> dict[str, Any]:
    """Describe a form of a file and the fields of a wire model."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, value in schema["properties"].items():
        reference = str(value.get("$ref", "")).rpartition("/")[2]
        if reference:
            schema["properties"][name] = definitions[reference]
    schema["properties"]["file"] = {"type": "string", "format": "binary"}
    schema["required"] = [*schema.get("required", []), "file"]
    schema.pop("title", None)
    return {"schema": schema}
