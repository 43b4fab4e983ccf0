"""``cortex tokens``: make, list, rotate and revoke bearer tokens on this machine.

Works on the database file itself, beside a running server: whoever may write that file
is the operator. Servers follow a revocation within a second.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from cortex.cli.command import command
from cortex.cli.exits import Exit
from cortex.cli.printing import moment, print_json, print_table, say
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import ValidationError
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import ALL_SCOPES, DEFAULT_TENANT, Principal
from cortex.security.issued_tokens import Issued, NewToken, TokenInfo
from cortex.security.token_store import TokenStore, TokenStoreOptions
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

T = TypeVar("T")

OPERATOR = "operator"
"""Who made a token by command, as the ledger names it."""

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Tenant = Annotated[str, typer.Option(help="Whose token it is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
TokenId = Annotated[str, typer.Argument(help="The id, as 'cortex tokens list' has it.")]


@dataclass(frozen=True, slots=True)
class Reach:
    """What a new token may do, where and for how long."""

    scope: Annotated[list[str], typer.Option(help="A scope, or *; repeatable.")]
    tenant: Tenant = DEFAULT_TENANT
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Name or prefix*; repeatable."),
    ] = None
    life: Annotated[
        str | None, typer.Option("--for", help="Life: 90s, 15m, 12h, 30d; else no end.")
    ] = None
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="For one task; an hour at most.")
    ] = False


@command
def issue(
    name: Annotated[str, typer.Argument(help="Who it stands for in the ledger.")],
    reach: Reach,
    as_json: AsJson = False,
) -> None:
    """Make a token and print its value: this once, it is not kept.

    Example: cortex tokens issue ci --scope memory --namespace team/* --for 30d
    """
    new = NewToken(
        name=name,
        scopes=frozenset(reach.scope),
        tenant=reach.tenant,
        namespaces=tuple(reach.namespace or ("*",)),
        ttl_seconds=None if reach.life is None else seconds_of(reach.life),
        ephemeral=reach.ephemeral,
    )
    _print_issued(
        _run(lambda store: store.issue(new, by=_operator(new.tenant))), as_json
    )


@command
def list_(
    tenant: Tenant = DEFAULT_TENANT,
    dead: Annotated[
        bool, typer.Option("--all", help="Expired and revoked ones, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the tokens of a tenant; values are not among what is known.

    Example: cortex tokens list --tenant acme --all
    """
    found = _run(lambda store: _all(store, tenant, dead=dead))
    now = SystemClock().now()
    if as_json:
        print_json({"tokens": [_told(info, now) for info in found]})
        return
    rows = [
        (
            info.id,
            info.name,
            info.state(now).value,
            " ".join(sorted(info.scopes)),
            " ".join(info.namespaces),
            moment(info.expires_at),
            info.created_by,
        )
        for info in found
    ]
    columns = ("id", "name", "state", "scopes", "namespaces", "until", "made by")
    print_table(columns, rows)


@command
def rotate(
    token: TokenId,
    tenant: Tenant = DEFAULT_TENANT,
    overlap: Annotated[
        str, typer.Option(help="How long the old one stays good: 0s to 7d.")
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """Give a token a successor; both are good during the overlap.

    Example: cortex tokens rotate 0192… --overlap 1h
    """
    seconds = seconds_of(overlap)
    issued = _run(
        lambda store: store.rotate(
            tenant, token, by=_operator(tenant), overlap_seconds=seconds
        )
    )
    _print_issued(issued, as_json)


@command
def revoke(
    token: TokenId, tenant: Tenant = DEFAULT_TENANT, as_json: AsJson = False
) -> int:
    """End a token, and all that were made with it.

    Example: cortex tokens revoke 0192… --tenant acme
    """
    ended = _run(lambda store: store.revoke(tenant, token, by=_operator(tenant)))
    if as_json:
        print_json({"revoked": ended})
    else:
        print("\n".join(ended) or "it had ended already")
    return Exit.OK


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Bearer tokens of this machine.")
    group.command("issue")(issue)
    group.command("list")(list_)
    group.command("rotate")(rotate)
    group.command("revoke")(revoke)
    return group


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as 90s, 15m, 12h or 30d.

    Raises:
        ValidationError: it is not one.
    """
    number, unit = text[:-1], text[-1:]
    if not number.isascii() or not number.isdigit() or unit not in _UNITS:
        message = f"{text!r} is not a duration"
        raise ValidationError(message, hint="Write 90s, 15m, 12h or 30d.", field="for")
    return float(number) * _UNITS[unit]


def _operator(tenant: str) -> Principal:
    return Principal(OPERATOR, tenant, frozenset({ALL_SCOPES}))


def _run(work: Callable[[TokenStore], Awaitable[T]]) -> T:
    return asyncio.run(_with_store(work))


async def _with_store(work: Callable[[TokenStore], Awaitable[T]]) -> T:
    from cortex.settings import load_with_secrets

    settings = load_with_secrets().settings
    clock = SystemClock()
    steps = load_migrations("cortex.storage") + load_migrations("cortex.security")
    settings.database_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_file, clock=clock, migrations=steps)
    names = frozenset(record.name for record in settings.token_records())
    options = TokenStoreOptions(reserved_names=names)
    await database.open()
    try:
        ids = Uuid7Source(clock)
        return await work(TokenStore(database, clock=clock, ids=ids, options=options))
    finally:
        await database.close()


async def _all(store: TokenStore, tenant: str, *, dead: bool) -> list[TokenInfo]:
    found: list[TokenInfo] = []
    while page := await store.list(
        tenant, after=found[-1].id if found else "", dead=dead
    ):
        found += page
    return found


def _told(info: TokenInfo, now: float) -> dict[str, object]:
    return {
        "id": info.id,
        "name": info.name,
        "tenant": info.tenant,
        "state": info.state(now).value,
        "scopes": sorted(info.scopes),
        "namespaces": info.namespaces,
        "created_at": info.created_at,
        "created_by": info.created_by,
        "expires_at": info.expires_at,
        "replaced_by": info.replaced_by,
        "ephemeral": info.ephemeral,
    }


def _print_issued(issued: Issued, as_json: bool) -> None:
    info = issued.token
    if as_json:
        told = _told(info, info.created_at)
        print_json({**told, "value": issued.value})
        return
    until = moment(info.expires_at) or "it is revoked"
    say(f"token {info.name!r}, id {info.id}, good until {until}; shown this once:")
    print(issued.value)
