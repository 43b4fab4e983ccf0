"""What goes over the wire about texts and files that become vectors."""

from dataclasses import dataclass, field

from cortex_client.wire import Json


@dataclass(frozen=True, slots=True)
class Label:
    """One thing that a picture may show."""

    name: str
    probability: float = 0.0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a file; what does not apply is empty.

    Attributes:
        labels: what it shows, likeliest first.
        transcript: what is said in it.
        words: what is written in it, where that was asked for.
    """

    labels: tuple[Label, ...] = ()
    transcript: str = ""
    words: str = ""
    width: int = 0
    height: int = 0
    seconds: float | None = None
    frames: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A vector, the model that made it, and how.

    Attributes:
        space: only vectors of one space can be compared.
        method: such as ``text``, ``conse``, ``transcript`` or ``native``.
        truncated: the text was longer than the model reads.
    """

    embedding: tuple[float, ...]
    model: str = ""
    dimensions: int = 0
    space: str = ""
    truncated: bool = False
    modality: str = "TEXT"
    mime_type: str = ""
    size: int = 0
    method: str = "text"
    processing_time_ms: float = 0.0
    found: Found = field(default_factory=Found)
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RememberedFile:
    """A file that became a memory; ``content`` is what stands for it."""

    id: str
    content: str = ""
    created: bool = True
    embedding: str = "ready"
    quarantined: str = ""
    modality: str = ""
    mime_type: str = ""
    size: int = 0
    sha256: str = ""
    found: Found = field(default_factory=Found)
    extra: Json = field(default_factory=dict)
