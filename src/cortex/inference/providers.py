"""Opens the text model that the configuration asks for.

When the bundled model cannot be loaded, feature hashing takes its place, in a space
of its own and marked as degraded: vectors of two models never meet. A model that the
user asked for by name is never replaced: its error stops the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Final

from cortex.foundation.errors import ValidationError
from cortex.inference.backends.hashing import HashingText
from cortex.inference.backends.openai import OpenAiOptions, OpenAiText
from cortex.inference.errors import ModelUnusable
from cortex.inference.packaged import bundled_folder, read_manifest
from cortex.inference.ports import ModelInfo, TextBackend, TokenCounters
from cortex.inference.registry import ModelEntry

REMOTE_THREADS: Final = 8
"""Texts under way at a remote service: it is waiting time, not work on this machine."""


class Provider(StrEnum):
    """Who turns text into vectors."""

    BUNDLED = "bundled"
    HASHING = "hashing"
    ONNX = "onnx"
    OPENAI = "openai"

    @classmethod
    def _missing_(cls, value: object) -> "Provider | None":
        """Read ``huggingface`` as a model of that hub, exported to a local folder."""
        return cls.ONNX if value == "huggingface" else None


@dataclass(frozen=True, slots=True)
class TextModelOptions:
    """Which text model to run.

    Attributes:
        provider: who runs it.
        folder: for ``onnx``, where ``model.onnx`` and ``tokenizer.json`` are; for
            ``bundled``, None for the one that comes with Cortex.
        max_tokens: for ``onnx``, longest input; None for the tokenizer's own limit.
        openai: for ``openai``, the service and the model.
    """

    provider: Provider = Provider.BUNDLED
    folder: Path | None = None
    max_tokens: int | None = None
    openai: OpenAiOptions | None = None


def open_text_backend(
    options: TextModelOptions, counters: TokenCounters
) -> TextBackend:
    """Return the backend, loaded; blocking, under a second.

    Args:
        options: which model.
        counters: count the tokens of a remote model.

    Raises:
        ModelUnusable: a model that the user brought does not load.
        ValidationError: the options lack what the provider needs.
    """
    if options.provider is Provider.HASHING:
        return HashingText()
    if options.provider is Provider.BUNDLED:
        return _bundled_or_stand_in(options.folder)
    if options.provider is Provider.ONNX:
        return _user_onnx(options)
    if options.openai is None:
        message = "the embedding provider openai needs a model's name"
        raise ValidationError(message, hint="Name the model.", field="model")
    counter = counters.for_model(options.openai.model)
    return OpenAiText(options.openai, counter)


def threads_for(options: TextModelOptions) -> int:
    """Return how many texts to run at once; 0 means one a core."""
    return REMOTE_THREADS if options.provider is Provider.OPENAI else 0


def shipped_models() -> tuple[ModelInfo, ...]:
    """Return the text models that need nothing but this installation."""
    stand_in = HashingText().info
    try:
        return read_manifest(bundled_folder()).info, stand_in
    except ModelUnusable:
        return (stand_in,)


def shipped_entries() -> tuple[ModelEntry[TextBackend], ...]:
    """Return the text models that need nothing but this installation."""
    stand_in = HashingText()
    opened: dict[str, Callable[[], TextBackend]] = {stand_in.info.name: HashingText}
    return tuple(
        ModelEntry(info, opened.get(info.name, _open_bundled))
        for info in shipped_models()
    )


# The ONNX backends are imported here and not above: ONNX Runtime is 20 MB of native
# code that other backends do not need, and where it cannot be loaded the server must
# still start.


def _bundled_or_stand_in(folder: Path | None) -> TextBackend:
    try:
        bundled = import_module("cortex.inference.backends.bundled")
        backend: TextBackend = bundled.open_bundled(folder)
    except (ModelUnusable, ImportError, OSError) as error:
        reason = error.message if isinstance(error, ModelUnusable) else str(error)
        return HashingText(standing_in_because=reason)
    return backend


def _open_bundled() -> TextBackend:
    try:
        bundled = import_module("cortex.inference.backends.bundled")
    except ImportError as error:
        message = f"ONNX Runtime cannot be loaded: {error}"
        raise ModelUnusable(message, hint="Install onnxruntime again.") from error
    backend: TextBackend = bundled.open_bundled()
    return backend


def _user_onnx(options: TextModelOptions) -> TextBackend:
    if options.folder is None:
        message = "the embedding provider onnx needs the folder of a model"
        hint = "Name the folder that holds model.onnx and tokenizer.json."
        raise ValidationError(message, hint=hint, field="model")
    try:
        user_onnx = import_module("cortex.inference.backends.user_onnx")
    except ImportError as error:
        message = f"ONNX Runtime cannot be loaded: {error}"
        raise ModelUnusable(message, hint="Install onnxruntime again.") from error
    backend: TextBackend = user_onnx.open_user_onnx(options.folder, options.max_tokens)
    return backend
