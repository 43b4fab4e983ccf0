"""``cortex encryption``: what is encrypted by which keys, and fresh data keys.

Works on the database file itself, beside a running server: a server seals what it
writes next by the fresh key.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from cortex.cli.command import command
from cortex.cli.printing import print_json, print_table, say
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.security.data_keys import DataKeys
from cortex.security.envelope import Keyring, MasterKey
from cortex.security.sealing import STORE_PURPOSE
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@command
def status(as_json: AsJson = False) -> None:
    """Tell which tenants have data keys, and under which master keys these are.

    Example: cortex encryption status
    """
    counted = _run(lambda keys: keys.census())
    if as_json:
        print_json({"keys": [one.told() for one in counted]})
        return
    rows = [(o.tenant, o.purpose, str(o.keys), o.master_id) for o in counted]
    print_table(("tenant", "for", "keys", "master key"), rows)


@command
def rotate(
    tenant: Annotated[str, typer.Option(help="Whose key.")] = DEFAULT_TENANT,
    as_json: AsJson = False,
) -> None:
    """Seal what a tenant stores from now on by a fresh data key.

    What is stored stays readable by the older ones. The master key is exchanged by
    CORTEX_ENCRYPTION__KEY and CORTEX_ENCRYPTION__OLDER_KEYS at the next start.

    Example: cortex encryption rotate --tenant acme
    """
    made = _run(lambda keys: keys.rotate(tenant, STORE_PURPOSE))
    if as_json:
        print_json({"tenant": tenant, "key": made.id.hex()})
    else:
        say(f"tenant {tenant!r} seals by data key {made.id.hex()} from now on")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Encryption of what is stored.")
    group.command("status")(status)
    group.command("rotate")(rotate)
    return group


def _run(work: Callable[[DataKeys], Awaitable[T]]) -> T:
    return asyncio.run(_with_keys(work))


async def _with_keys(work: Callable[[DataKeys], Awaitable[T]]) -> T:
    from cortex.settings import load_with_secrets

    settings = load_with_secrets().settings
    key = settings.encryption.key
    if key is None:
        message = "no encryption key is set"
        hint = (
            "A server without one stores in the clear. "
            "If yours has one, set CORTEX_ENCRYPTION__KEY as it has it."
        )
        raise ValidationError(message, hint=hint, field="encryption.key")
    older = [
        MasterKey.parse(o.get_secret_value()) for o in settings.encryption.older_keys
    ]
    ring = Keyring(MasterKey.parse(key.get_secret_value()), older)
    clock = SystemClock()
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    database = Database(settings.database_file, clock=clock, migrations=steps)
    await database.open()
    try:
        keys = DataKeys(database, ring, clock=clock)
        foreign = await keys.foreign()
        if foreign:
            message = f"the data were encrypted under master key {foreign[0]}"
            hint = "Set CORTEX_ENCRYPTION__KEY to that one."
            raise ValidationError(message, hint=hint, field="encryption.key")
        return await work(keys)
    finally:
        await database.close()
