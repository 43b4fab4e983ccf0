"""``cortex config``: what is set and from where, would a server start; changing it.

``show`` and ``check`` read files and environment; the rest, and ``show --live``, ask a
running server.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import moment, print_json, print_table
from cortex.foundation.errors import ValidationError
from cortex_client.call import Answer, Call

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Reason = Annotated[str, typer.Option(help="Why, for history and ledger.")]
IfRevision = Annotated[
    int | None,
    typer.Option("--if-revision", help="Only if this is the revision in force."),
]


@command
def show(
    server: Server,
    live: Annotated[
        bool, typer.Option("--live", help="Those in force in a running server.")
    ] = False,
) -> None:
    """Show every setting, its value and where that came from; secrets are masked.

    Example: cortex config show --live
    """
    if live:
        _show_live(server)
        return
    from cortex.settings import load

    described = load().describe()
    if server.as_json:
        print_json(described)
        return
    rows = [(d.name, d.value, d.source, d.variable) for d in described]
    print_table(("setting", "value", "from", "variable"), rows)


def _show_live(server: Server) -> None:
    told = _asked(server, Call("GET", "/config", _object))
    if server.as_json:
        print_json(told)
        return
    rows = [
        (
            one["name"],
            "********" if one["secret"] and one["given"] else _text(one["value"]),
            one["source"],
            _limits(one["limits"]) if one["changeable"] else "after a restart",
        )
        for one in told["settings"]
    ]
    print_table(("setting", "value", "from", "can be"), rows)
    for name, reason in told["ignored"].items():
        print(f"ignored: {name}: {reason}")
    print(f"revision {told['revision']}")


@command
def check(as_json: AsJson = False) -> None:
    """Say whether a server would start with these settings; exit code 1 if not.

    Example: CORTEX_ENV=production cortex config check
    """
    from cortex.settings import load_with_secrets

    settings = load_with_secrets().settings
    settings.check()
    if as_json:
        print_json({"ok": True, "env": settings.env.value})
    else:
        print(f"settings are good ({settings.env.value})")


@command
def set_(
    server: Server,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="As cortex.toml.")
    ] = None,
    reset: Annotated[
        list[str] | None,
        typer.Option("--reset", help="Give this one back to file or environment."),
    ] = None,
    reason: Reason = "",
    if_revision: IfRevision = None,
) -> None:
    """Change settings of a running server, all or none; kept over a restart.

    Example: cortex config set log_level=debug trace.ratio=1 --reason "a closer look"
    """
    if not values and not reset:
        raise ValidationError("nothing to set", hint="Write KEY=VALUE.", field="values")
    body = {
        "set": dict(map(_pair, values or [])),
        "reset": reset or [],
        "reason": reason,
    }
    headers = _condition(if_revision)
    call = Call("PATCH", "/config", _object, body=body, headers=headers)
    _print_changed(server, _asked(server, call))


@command
def rollback(
    server: Server,
    revision: Annotated[
        int | None, typer.Argument(help="Which; 0 sets nothing. Else the one before.")
    ] = None,
    reason: Reason = "",
    if_revision: IfRevision = None,
) -> None:
    """Go back to what an earlier revision set at run time.

    Example: cortex config rollback --reason "too much in the log"
    """
    body = {"revision": revision, "reason": reason}
    headers = _condition(if_revision)
    call = Call("POST", "/config/rollback", _object, body=body, headers=headers)
    _print_changed(server, _asked(server, call))


@command
def history(
    server: Server,
    limit: Annotated[int, typer.Option(help="Revisions to list.")] = 20,
) -> None:
    """List what was changed at run time, when, by whom and why; newest first.

    Example: cortex config history
    """
    call = Call("GET", "/config/history", _object, params={"limit": limit})
    told = _asked(server, call)
    if server.as_json:
        print_json(told)
        return
    rows = [
        (
            str(one["revision"]),
            moment(one["at"]),
            one["actor"],
            "; ".join(map(_change, one["changed"])),
            _why(one),
        )
        for one in told["revisions"]
    ]
    print_table(("revision", "when", "who", "what", "why"), rows)


def _asked(server: Server, call: Call[dict[str, Any]]) -> dict[str, Any]:
    with server.connect() as client:
        return client.send(call)


def _object(answer: Answer) -> dict[str, Any]:
    return answer.body if isinstance(answer.body, dict) else {}


def _condition(revision: int | None) -> Mapping[str, str]:
    return {} if revision is None else {"If-Match": f'"{revision}"'}


def _pair(text: str) -> tuple[str, object]:
    """Return the name and the value; what is no JSON is a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        message = f"{text[:80]!r} is not KEY=VALUE"
        raise ValidationError(message, field="values")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _print_changed(server: Server, told: Mapping[str, Any]) -> None:
    if server.as_json:
        print_json(told)
        return
    for change in told["changed"]:
        print(_change(change))
    done = "in force" if told["changed"] else "nothing changed"
    print(f"revision {told['revision']}: {done}")


def _change(one: Mapping[str, Any]) -> str:
    return f"{one['name']}: {_text(one['before'])} -> {_text(one['after'])}"


def _why(one: Mapping[str, Any]) -> str:
    back = "" if one["target"] is None else f"back to {one['target']}"
    return ": ".join(filter(None, (back, one["reason"])))


def _limits(limits: Mapping[str, Any]) -> str:
    if "choices" in limits:
        return ", ".join(limits["choices"])
    low, high = limits.get("minimum"), limits.get("maximum")
    above = f"above {_text(limits['above'])}" if "above" in limits else ""
    least = "" if low is None else f"from {_text(low)}"
    most = "" if high is None else f"to {_text(high)}"
    return " ".join(filter(None, (above, least, most))) or "changed"


def _text(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(
        no_args_is_help=True, help="Settings: show, check and change them."
    )
    group.command("show")(show)
    group.command("check")(check)
    group.command("set")(set_)
    group.command("rollback")(rollback)
    group.command("history")(history)
    return group
