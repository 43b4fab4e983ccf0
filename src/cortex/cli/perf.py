"""``cortex perf``: how the server does, where its time goes, what went wrong."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import typer

from cortex.cli.command import Server, command
from cortex.cli.exits import Exit
from cortex.cli.logs import logs
from cortex.cli.printing import moment, print_json, print_table, say, snippet
from cortex.cli.tokens import seconds_of
from cortex.foundation.clock import SystemClock
from cortex_client.call import Call, Params

Last = Annotated[str, typer.Option(help="Time looked back: 90s, 15m, 12h, 30d.")]

_PARTS_SHOWN = 20
_UNKNOWN = "-"


@command
def status(server: Server, last: Last = "5m") -> None:
    """Show rate, latency and errors of each route.

    Example: cortex perf status --last 15m
    """
    window = seconds_of(last)
    answer = _ask(server, "/performance/status", {"window": window})
    if server.as_json:
        print_json(answer)
        return
    rows = [
        (
            route["route"],
            f"{route['rate']:.2f}",
            *(_number(route[name]) for name in ("p50_ms", "p95_ms", "p99_ms")),
            _percent(route["error_ratio"]),
        )
        for route in answer["routes"]
    ]
    columns = ("route", "requests/s", "p50 ms", "p95 ms", "p99 ms", "errors")
    print_table(columns, rows, f"{answer['rate']:.2f} requests/s in the last {last}")


@command
def spans(
    server: Server,
    last: Last = "1h",
    against: Annotated[
        str | None,
        typer.Option(help="Compare with so long a time before that: 1h, 7d."),
    ] = None,
) -> None:
    """Show where the time of requests goes, the bottleneck first.

    Self time is what no part within explains; critical is what requests waited for.
    Figures are those of all requests, of which slow and failed ones are always kept.

    Example: cortex perf spans --last 15m --against 1d
    """
    begin = SystemClock().now() - seconds_of(last)
    asked: dict[str, Any] = {"from": begin}
    if against is not None:
        asked |= {"against_from": begin - seconds_of(against), "against_to": begin}
    answer = _ask(server, "/performance/spans", asked)
    if server.as_json:
        print_json(answer)
        return
    if not answer["traces"]:
        say(f"no traces were kept in the last {last}")
        return
    _print_parts(answer)
    if answer["slowest"] is not None:
        _print_slowest(answer["slowest"])
    if against is not None:
        _print_differences(answer["differences"], against)


@command
def trace(
    server: Server,
    trace_id: Annotated[str, typer.Argument(help="32 hexadecimal digits, as logged.")],
) -> None:
    """Show one trace, part by part.

    Example: cortex perf trace 76de9ff2445767ab7cdb9700a105ebf2
    """
    answer = _ask(server, f"/performance/traces/{trace_id}", {})
    if server.as_json:
        print_json(answer)
        return
    found = answer["spans"]
    parents = {span["span_id"]: span["parent_id"] for span in found}
    begin = min(span["start"] for span in found)
    rows = [
        (
            "  " * _depth(span["span_id"], parents) + span["name"],
            _number((span["start"] - begin) * 1000),
            _number(span["ms"]),
            span["error"],
        )
        for span in found
    ]
    kept = ", ".join(answer["reasons"])
    print_table(("part", "at ms", "took ms", "error"), rows, f"kept for: {kept}")


@command
def errors(
    server: Server,
    last: Last = "1d",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Groups shown.")] = 50,
) -> int:
    """Show errors nobody foresaw, grouped; exit code 1 when there are any.

    Example: cortex perf errors --last 7d
    """
    since = SystemClock().now() - seconds_of(last)
    asked: Params = {"since": since, "limit": limit}
    found = _ask(server, "/performance/errors", asked)["errors"]
    if server.as_json:
        print_json({"errors": found})
    else:
        rows = [
            (
                group["fingerprint"],
                str(group["count"]),
                group["type"],
                group["place"],
                group["route"],
                moment(group["first_seen"]),
                moment(group["last_seen"]),
                snippet(group["message"]),
            )
            for group in found
        ]
        columns = ("group", "count", "type", "in", "route", "first", "last", "message")
        print_table(columns, rows)
    return Exit.FAILURE if found else Exit.OK


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="How the server does, and why.")
    group.command("status")(status)
    group.command("spans")(spans)
    group.command("trace")(trace)
    group.command("errors")(errors)
    group.command("logs")(logs)
    return group


def _ask(server: Server, path: str, params: Params) -> Mapping[str, Any]:
    def read(answer: Any) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", answer.body)

    with server.connect() as client:
        return client.send(Call("GET", path, read, params))


def _print_parts(answer: Mapping[str, Any]) -> None:
    rows = [
        (
            part["name"],
            f"{part['count']:.0f}",
            _percent(part["self_share"]),
            _percent(part["critical_share"]),
            *(_number(part[name]) for name in ("self_ms", "p50_ms", "p95_ms")),
            f"{part['errors']:.0f}",
        )
        for part in answer["parts"][:_PARTS_SHOWN]
    ]
    columns = (
        "part",
        "count",
        "self",
        "critical",
        "self ms",
        "p50 ms",
        "p95 ms",
        "errors",
    )
    title = (
        f"{answer['traces']} traces for {answer['requests']:.0f} requests; "
        f"bottleneck: {answer['bottleneck']}"
    )
    print_table(columns, rows, title)


def _print_slowest(slowest: Mapping[str, Any]) -> None:
    rows = [
        (step["name"], _number(step["start_ms"]), _number(step["ms"]))
        for step in slowest["critical_path"]
    ]
    # A line of its own: a narrow table would break the command in its title.
    print(
        f"slowest: {slowest['name']}, {slowest['ms']:.0f} ms "
        f"(cortex perf trace {slowest['trace_id']})"
    )
    print_table(("waited for", "at ms", "ms"), rows)


def _print_differences(found: Sequence[Mapping[str, Any]], against: str) -> None:
    rows = [
        (
            one["name"],
            _number(one["before_ms"]),
            _number(one["after_ms"]),
            _UNKNOWN if one["ratio"] is None else f"{one['ratio']:.2f}",
            "yes" if one["sure"] else "no",
        )
        for one in found[:_PARTS_SHOWN]
    ]
    columns = ("part", "before ms", "now ms", "ratio", "more than chance")
    print_table(columns, rows, f"median self time against the {against} before")


def _depth(span_id: str, parents: Mapping[str, str]) -> int:
    depth = 0
    while (span_id := parents.get(span_id, "")) in parents and depth < len(parents):
        depth += 1
    return depth


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.1f}"


def _percent(ratio: float | None) -> str:
    return _UNKNOWN if ratio is None else f"{ratio:.2%}"
