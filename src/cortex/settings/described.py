"""Settings as a person is shown them: with their sources, and secrets masked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, SecretStr

from cortex.security.secrets import is_reference

if TYPE_CHECKING:
    from cortex.settings import Settings

PREFIX = "CORTEX_"

NESTED = (
    "openai",
    "inference",
    "llm",
    "quotas",
    "tls",
    "vault",
    "encryption",
    "energy",
    "trace",
)
"""Fields that are tables of settings of their own; a test finds one left out."""

_MASK = "********"


class FetchedStr(SecretStr):
    """A value that was fetched: never taken for a reference again."""


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as ``cortex config show`` prints it; secrets are masked."""

    name: str
    variable: str
    value: str
    source: str
    description: str


def described(settings: "Settings", sources: Mapping[str, str]) -> Iterator[Described]:
    """Yield every setting with its source, in the order of the tree."""
    nested = tuple((name, getattr(settings, name)) for name in NESTED)
    for path, model in (("", settings), *nested):
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                continue
            full = f"{path}.{name}" if path else name
            yield Described(
                name=full,
                variable=PREFIX + full.upper().replace(".", "__"),
                value=_shown(value),
                source=sources.get(full, "default"),
                description=field.description or "",
            )


def is_secret_reference(text: str) -> bool:
    """Tell whether a secret setting names a place.

    A list of tokens may begin with a token named ``env``; it has more colons. What is
    none of the usual forms is taken for a value, so that it is masked.
    """
    if not is_reference(text) or text.count(":") != 1:
        return False
    scheme, _, place = text.partition(":")
    forms = {
        "env": place.isidentifier(),
        "file": place.startswith("/"),
        "vault": "#" in place,
    }
    return forms.get(scheme, True)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        if is_secret_reference(text) and not isinstance(value, FetchedStr):
            return text  # where it is, which is no secret
        return _MASK if text else ""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, dict):
        return json.dumps({key: str(item) for key, item in value.items()})
    return str(value).lower() if isinstance(value, bool) else str(value)
