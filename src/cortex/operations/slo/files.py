"""Reads the file of objectives."""

from pathlib import Path

from cortex.operations.errors import SloInvalid
from cortex.operations.slo.loader import FILE_CHARACTERS_MAX, parse_objectives
from cortex.operations.slo.model import Objective


def read_objectives(path: Path) -> tuple[Objective, ...]:
    """Return the defaults with what a file says, by name.

    Raises:
        SloInvalid: it cannot be read, is no text, or says what cannot be meant.
    """
    hint = "docs/how-to/slo.md shows both forms."
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            text = file.read(FILE_CHARACTERS_MAX + 1)
    except UnicodeDecodeError:
        message = f"the file of objectives {path} is not text in UTF-8"
        raise SloInvalid(message, hint=hint, field="slo_file") from None
    except OSError as error:
        message = f"the file of objectives {path} cannot be read: {error.strerror}"
        raise SloInvalid(message, hint=hint, field="slo_file") from error
    return parse_objectives(text)
