"""Secrets by reference: fetched once, before anything is made of the settings.

Any secret setting may be a reference (see ``cortex.security.secrets``), and so may the
``token`` of each entry when tokens are written as JSON or a table.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, SecretStr

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError
from cortex.security.secrets import (
    DirectorySource,
    EnvironmentSource,
    FileSource,
    Secret,
    Secrets,
    SecretSource,
    is_reference,
)
from cortex.settings.described import PREFIX, FetchedStr, is_secret_reference
from cortex.settings.doors import VaultSettings
from cortex.settings.errors import ConfigurationError

if TYPE_CHECKING:
    from cortex.settings import Settings

M = TypeVar("M", bound=BaseModel)
Fetch = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Places:
    """Where references of this process lead.

    Attributes:
        environment: the process's variables.
        folder: the mounted folder of secrets; None without one.
    """

    environment: Mapping[str, str] = field(repr=False)
    folder: Path | None = None


def with_secrets(settings: "Settings", places: Places) -> "Settings":
    """Return the settings with the values their references name.

    Raises:
        ConfigurationError: one cannot be had; the message names setting and place.
    """
    if not _refers(settings):
        return settings
    # A thread of its own: the caller may be inside a running event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _fetched(settings, places)).result()


def _refers(model: BaseModel) -> bool:
    """Tell whether anything in the tree is a reference."""
    return any(_is_open(value) for value in _values(model))


def _values(model: BaseModel) -> list[object]:
    found: list[object] = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found += _values(value)
        else:
            found += value if isinstance(value, tuple) else [value]
    return found


def _is_open(value: object) -> bool:
    if not isinstance(value, SecretStr) or isinstance(value, FetchedStr):
        return False
    text = value.get_secret_value()
    return is_secret_reference(text) or bool(_table(text))


def _table(text: str) -> dict[str, Any]:
    """Return tokens written as JSON if one of them is a reference; else nothing."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        table = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(table, dict):
        return {}
    return table if any(_token_refers(entry) for entry in table.values()) else {}


def _token_refers(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    token = entry.get("token")
    return isinstance(token, str) and is_reference(token)


async def _fetched(settings: "Settings", places: Places) -> "Settings":
    sources: dict[str, SecretSource] = {
        "env": EnvironmentSource(places.environment),
        "file": FileSource(),
    }
    if places.folder is not None:
        sources["dir"] = DirectorySource(places.folder)
    near = Secrets(sources)
    vault = await _filled(settings.vault, _fetch_from(near), "vault.")
    settings = settings.model_copy(update={"vault": vault})
    if not vault.address:
        return await _filled(settings, _fetch_from(near), "")
    import httpx  # noqa: PLC0415 - only who uses Vault pays for it

    async with httpx.AsyncClient() as client:
        far = Secrets({**sources, "vault": _vault_source(vault, client)})
        return await _filled(settings, _fetch_from(far), "")


def _fetch_from(secrets: Secrets) -> Fetch:
    async def fetch(reference: str) -> str:
        return (await secrets.resolve(reference)).reveal()

    return fetch


async def _filled(model: M, fetch: Fetch, path: str) -> M:
    """Return a model with its references fetched, nested ones too."""
    update: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        place = f"{path}{name}"
        if isinstance(value, BaseModel):
            update[name] = await _filled(value, fetch, f"{place}.")
        elif isinstance(value, tuple) and any(map(_is_open, value)):
            update[name] = tuple([await _value(one, fetch, place) for one in value])
        elif _is_open(value):
            update[name] = await _value(value, fetch, place)
    return model.model_copy(update=update)


async def _value(value: SecretStr, fetch: Fetch, place: str) -> SecretStr:
    if not _is_open(value):
        return value
    text = value.get_secret_value()
    try:
        table = _table(text)
        if not table:
            return FetchedStr(await fetch(text))
        for entry in table.values():
            if _token_refers(entry):
                entry["token"] = await fetch(entry["token"])
        return FetchedStr(json.dumps(table))
    except CortexError as error:
        variable = PREFIX + place.upper().replace(".", "__")
        raise ConfigurationError(
            f"{variable}: {error.message}", hint=error.hint, field=place
        ) from None


def _vault_source(vault: VaultSettings, client: Any) -> SecretSource:
    from cortex.security.vault import (  # noqa: PLC0415 - only who uses Vault
        VaultAppRole,
        VaultKubernetes,
        VaultOptions,
        VaultSource,
        VaultToken,
    )

    login: VaultToken | VaultAppRole | VaultKubernetes
    if vault.role and vault.secret_id is not None:
        login = VaultAppRole(vault.role, Secret(vault.secret_id.get_secret_value()))
    elif vault.role:
        login = VaultKubernetes(vault.role)
    else:
        token = vault.token
        login = VaultToken(
            None if token is None else Secret(token.get_secret_value()),
            None if vault.token_file is None else vault.token_file.expanduser(),
        )
    options = VaultOptions(vault.address, login, vault.namespace)
    return VaultSource(options, client=client, clock=SystemClock())
