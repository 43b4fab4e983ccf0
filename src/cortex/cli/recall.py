"""``cortex recall``: search the memory."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import moment, print_json, print_table, say, snippet
from cortex.cli.selecting import NamespaceName
from cortex_client.calls.memory import RecallOptions
from cortex_client.wire import Hit, Recalled


@dataclass(frozen=True, slots=True)
class How:
    """How to search, and where."""

    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, max=100, help="Most hits.")
    ] = 5
    mode: Annotated[str, typer.Option(help="hybrid, semantic or keyword.")] = "hybrid"
    namespace: NamespaceName = None
    session: Annotated[str | None, typer.Option(help="Only this session.")] = None
    user: Annotated[str | None, typer.Option(help="Only this user.")] = None
    after: Annotated[str | None, typer.Option(help="Happened since, ISO 8601.")] = None
    before: Annotated[str | None, typer.Option(help="Happened before, ISO 8601.")] = (
        None
    )
    min_trust: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave out what is trusted less.")
    ] = None
    source_kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind; may be repeated.")
    ] = None
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each signal's part.")
    ] = False

    def options(self) -> RecallOptions:
        """Return the options as the client takes them."""
        span = {"start": self.after, "end": self.before}
        bounds = {name: value for name, value in span.items() if value is not None}
        values = {
            "mode": self.mode,
            "namespace": self.namespace,
            "session_id": self.session,
            "user_id": self.user,
            "time_range": bounds or None,
            "explain": self.explain or None,
            "min_trust": self.min_trust,
            "source_kinds": self.source_kind or None,
        }
        return {k: v for k, v in values.items() if v is not None}  # type: ignore[return-value]


@command
def recall(
    query: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    how: How,
    server: Server,
) -> None:
    """Find what answers a question, best first.

    Example: cortex recall "What does Ana drink?" --top-k 3
    """
    with server.connect() as client:
        found = client.recall(query, how.top_k, **how.options())
    if server.as_json:
        print_json(found)
        return
    show_hits(found)


def show_hits(found: Recalled) -> None:
    """Print hits as a table, and say when nothing really answers."""
    if found.low_confidence:
        say("low confidence: nothing stored seems to answer this")
    if not found.hits:
        say("nothing found")
        return
    rows = [(str(n), *_row(hit)) for n, hit in enumerate(found.hits, 1)]
    print_table(("#", "score", "conf.", "author", "when", "text"), rows)


def _row(hit: Hit) -> tuple[str, str, str, str, str]:
    text = snippet(hit.content)
    if hit.signals:
        parts = sorted(hit.signals.items(), key=lambda part: -part[1])
        text += "\n" + "  ".join(f"{name} {value:.3f}" for name, value in parts)
    if hit.signals and hit.trust is not None:
        text += f"  (trust {hit.trust:.2f}, {hit.provenance.source_kind})"
    return (
        f"{hit.score:.3f}",
        f"{hit.confidence:.2f}",
        hit.author,
        moment(hit.occurred_at),
        text,
    )
