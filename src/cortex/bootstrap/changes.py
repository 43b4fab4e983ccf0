"""What the settings of a process are, as digests that tell nothing of their values."""

import hashlib
import hmac
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from cortex.settings import Settings


def digests_of(settings: Settings, key: bytes) -> dict[str, str]:
    """Return a digest of each setting by name.

    Secrets are hashed under the signing key, so that nobody can try guesses at them. Of
    the policy file its content counts.
    """
    found = {
        name: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]
        for name, text in _texts(settings, "")
    }
    path = settings.policy_file
    if path is not None and path.expanduser().is_file():
        content = path.expanduser().read_bytes()
        found["policy_file"] = hashlib.sha256(content).hexdigest()[:32]
    return found


def _texts(model: BaseModel, path: str) -> Iterator[tuple[str, str]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _texts(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", _text(value)


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return "\0".join(f"{name}={text}" for name, text in _texts(value, ""))
    if isinstance(value, frozenset):
        # Its own order differs from process to process.
        return "\0".join(sorted(map(_text, value)))
    if isinstance(value, tuple):
        return "\0".join(map(_text, value))
    if isinstance(value, dict):
        return "\0".join(f"{key}={_text(value[key])}" for key in sorted(value))
    return str(value)
