"""The model files that are shipped with Cortex, and the hashes they must have."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

from cortex.foundation.canonical import sha256_hex
from cortex.foundation.errors import ValidationError
from cortex.inference.errors import ModelUnusable
from cortex.inference.model import Manifest, parse_manifest

BUNDLED_MODEL: Final = "minilm-l6-v2"
"""Folder under ``cortex/inference/models``."""

_HINT: Final = "Install Cortex again: its package data is not as it was shipped."


def bundled_folder() -> Path:
    """Return the folder of the model that comes with Cortex."""
    return Path(str(files("cortex.inference"))) / "models" / BUNDLED_MODEL


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a bundled model.

    Raises:
        ModelUnusable: it is missing or malformed.
    """
    text = _read(folder, "manifest.json")
    try:
        return parse_manifest(json.loads(text))
    except (ValueError, ValidationError) as error:
        message = f"the bundled model's manifest is broken: {error}"
        raise ModelUnusable(message, hint=_HINT) from error


def read_verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    """Return the bytes of one of the model's files.

    Raises:
        ModelUnusable: it is missing, or its hash is not the manifest's.
    """
    data = _read(folder, name)
    if sha256_hex(data) != manifest.files.get(name):
        message = f"the bundled model's file {name} is not the one that was shipped"
        raise ModelUnusable(message, hint=_HINT, file=name)
    return data


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        message = f"the bundled model's file {name} cannot be read: {error.strerror}"
        raise ModelUnusable(message, hint=_HINT, file=name) from error
