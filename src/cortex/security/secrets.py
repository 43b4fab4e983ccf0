"""Secrets by reference: where a value is, instead of the value.

References, usable wherever a setting takes a secret::

    env:NAME                         an environment variable
    file:/etc/cortex/signing.key     a file of its own
    dir:signing-key                  a file in the mounted folder of secrets
    vault:secret/cortex#signing_key  a field of a KV version 2 secret (optional @3)

A value travels as ``Secret``: its text comes out by ``reveal`` only, never by
``repr``, ``str``, formatting, pickling or an error. Errors name the place.
"""

import asyncio
import hmac
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from cortex.foundation.errors import ValidationError
from cortex.security.errors import SecretNotFound, SecretUnavailable

SECRET_BYTES_MAX = 64 * 1024
"""Bytes of one secret: a chain of certificates fits."""

_MASK = "********"
_REFERENCE = re.compile(
    r"(?P<scheme>env|file|dir|vault):(?P<path>[^#@\s]+)"
    r"(?:#(?P<field>[^#@\s]+))?(?:@(?P<version>[1-9][0-9]{0,8}))?"
)
_HINT = "Write env:NAME, file:/path, dir:NAME or vault:mount/path#field."


class Secret:
    """A text that shows itself only when asked by name."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would tell of the value

    def __init__(self, value: str) -> None:
        """Keep the value."""
        self._value = value

    def reveal(self) -> str:
        """Return the value; call this where it is used, not before."""
        return self._value

    def __eq__(self, other: object) -> bool:
        """Compare with another secret in constant time."""
        return isinstance(other, Secret) and hmac.compare_digest(
            self._value.encode(), other._value.encode()
        )

    def __bool__(self) -> bool:
        """Tell whether there is a value at all."""
        return bool(self._value)

    def __repr__(self) -> str:
        """Return a mask of constant length."""
        return f"Secret({_MASK})"

    def __str__(self) -> str:
        """Return a mask of constant length."""
        return _MASK

    def __format__(self, spec: str) -> str:
        """Return a mask of constant length, however it is formatted."""
        return _MASK

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        message = "a secret cannot be pickled"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is.

    Attributes:
        field: of a secret with several; empty for the whole.
        version: of a versioned one; None for the newest.
    """

    scheme: str
    path: str
    field: str = ""
    version: int | None = None

    def __str__(self) -> str:
        """Return it as it was written."""
        field = f"#{self.field}" if self.field else ""
        version = f"@{self.version}" if self.version else ""
        return f"{self.scheme}:{self.path}{field}{version}"


class SecretSource(Protocol):
    """One kind of place."""

    async def read(self, reference: Reference) -> str:
        """Return the value; raises ``SecretNotFound`` or ``SecretUnavailable``."""
        ...


class Secrets:
    """Resolves references by their kind."""

    def __init__(self, sources: Mapping[str, SecretSource]) -> None:
        """Take the sources by scheme; the others are not configured."""
        self._sources = dict(sources)

    async def resolve(self, text: str) -> Secret:
        """Return the secret that a reference names.

        Raises:
            ValidationError: it is not a reference, or its kind is not configured.
            SecretNotFound: nothing is there, or it is empty.
            SecretUnavailable: the place does not answer or does not let us in.
        """
        reference = parse_reference(text)
        source = self._sources.get(reference.scheme)
        if source is None:
            message = f"no source for {reference.scheme}: secrets is configured"
            raise ValidationError(message, hint=_HINT, field="secret")
        value = await source.read(reference)
        if not value:
            raise missing(reference, "it is empty")
        return Secret(value)


class EnvironmentSource:
    """Environment variables, as the composition root read them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Take the variables; only cortex.settings may read the process's own."""
        self._environment = environment

    async def read(self, reference: Reference) -> str:
        """Return the variable of that name."""
        value = self._environment.get(reference.path)
        if value is None:
            raise missing(reference, "no such variable")
        return value

    def __repr__(self) -> str:
        """Show no variable."""
        return "EnvironmentSource()"


class FileSource:
    """Files by absolute path.

    ``private`` refuses files that others can read; what Kubernetes mounts is readable
    by all within the container, so it belongs under ``DirectorySource``.
    """

    def __init__(self, *, private: bool = True) -> None:
        """Choose whether files must be the owner's alone."""
        self._private = private

    async def read(self, reference: Reference) -> str:
        """Return the content without the line end at its end."""
        path = Path(reference.path)
        if not path.is_absolute():
            raise ValidationError(
                f"{reference} is not an absolute path", hint=_HINT, field="secret"
            )
        return await asyncio.to_thread(_read, path, reference, private=self._private)


class DirectorySource:
    """One folder with a file for each secret, as Kubernetes and Docker mount them.

    Files are read anew each time, so that a rotated secret is seen. Links may lead
    to other files in the folder (Kubernetes swaps ``..data``), not out of it.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; it may come later."""
        self._folder = folder

    async def read(self, reference: Reference) -> str:
        """Return the content without the line end at its end."""
        return await asyncio.to_thread(self._read, reference)

    def _read(self, reference: Reference) -> str:
        folder = self._folder.resolve()
        path = (folder / reference.path).resolve()
        if not path.is_relative_to(folder) or "/" in reference.path:
            raise ValidationError(
                f"{reference} leads out of the folder of secrets",
                hint="Write dir:NAME, with the name of a file in it.",
                field="secret",
            )
        return _read(path, reference, private=False)


def is_reference(text: str) -> bool:
    """Tell whether a setting's text is a reference and not a value."""
    return _REFERENCE.fullmatch(text) is not None


def parse_reference(text: str) -> Reference:
    """Return the parts of a reference.

    Raises:
        ValidationError: it is not one. The text is not repeated: it may be a value
            that someone put in the wrong place.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ValidationError(
            "this is not a reference to a secret", hint=_HINT, field="secret"
        )
    scheme, field, version = match["scheme"], match["field"], match["version"]
    mount, _, rest = match["path"].partition("/")
    names_a_path = bool(mount and rest) and ".." not in rest.split("/")
    if scheme == "vault" and not (field and names_a_path):
        raise ValidationError(
            "a reference to Vault names mount, path and field",
            hint="Write vault:mount/path#field.",
            field="secret",
        )
    if scheme != "vault" and (field or version):
        raise ValidationError(
            "only references to Vault have a field or a version",
            hint=_HINT,
            field="secret",
        )
    return Reference(
        scheme, match["path"], field or "", int(version) if version else None
    )


def missing(reference: Reference, why: str) -> SecretNotFound:
    """Return the error for a place without the secret."""
    return SecretNotFound(
        f"there is no secret at {reference}: {why}",
        hint="Check the reference, and what is stored there.",
        reference=str(reference),
    )


def unavailable(reference: Reference, why: str) -> SecretUnavailable:
    """Return the error for a place that cannot be asked."""
    return SecretUnavailable(
        f"the secret at {reference} cannot be read: {why}",
        hint="Check that its place is up and lets this service in.",
        reference=str(reference),
    )


def _read(path: Path, reference: Reference, *, private: bool) -> str:
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise unavailable(reference, "others can read it (chmod 600)")
            content = file.read(SECRET_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise missing(reference, "no such file") from None
    except OSError as error:
        raise unavailable(reference, error.strerror or "input error") from None
    if len(content) > SECRET_BYTES_MAX:
        raise unavailable(reference, f"more than {SECRET_BYTES_MAX} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise unavailable(reference, "it is not text") from None
    return text.removesuffix("\n").removesuffix("\r")
