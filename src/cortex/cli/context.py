"""``cortex context``: build a prompt context."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, say
from cortex.cli.selecting import NamespaceName
from cortex_client.calls.context import ContextOptions
from cortex_client.wire import Context


@dataclass(frozen=True, slots=True)
class Budget:
    """For which model, how large, and from what."""

    model: Annotated[str | None, typer.Option(help="Model whose tokens count.")] = None
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", "-t", min=1, help="Hard budget.")
    ] = None
    reserve: Annotated[
        int, typer.Option(min=0, help="Tokens of it kept free for the answer.")
    ] = 0
    strategy: Annotated[
        str | None, typer.Option(help="balanced, recall or window.")
    ] = None
    compression: Annotated[
        str | None,
        typer.Option(
            help="none, truncate, extractive, deduplicate, structure or abstractive."
        ),
    ] = None
    session: Annotated[str | None, typer.Option(help="Session id.")] = None
    namespace: NamespaceName = None

    def options(self) -> ContextOptions:
        """Return the options as the client takes them."""
        values = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "reserve_tokens": self.reserve or None,
            "strategy": self.strategy,
            "compression": self.compression,
            "session_id": self.session,
            "namespace": self.namespace,
        }
        return {k: v for k, v in values.items() if v is not None}  # type: ignore[return-value]


@command
def context(
    server: Server,
    budget: Budget,
    query: Annotated[str | None, typer.Argument(help="What the prompt is for.")] = None,
) -> int | None:
    """Print a context that fits the budget; the counts go to standard error.

    Example: cortex context "What does Ana drink?" --model gpt-4o --max-tokens 800
    """
    if query is None and budget.session is None:
        fail("a context needs a query, a --session or both.")
        return Exit.USAGE
    with server.connect() as client:
        built = client.build_context(query, **budget.options())
    if server.as_json:
        print_json(built)
        return None
    print(built.text)
    say(counts(built))
    return None


def counts(built: Context) -> str:
    """Return one line: tokens against budget, how counted, what was left out."""
    kind = "exact" if built.token_exact else "upper bound"
    line = (
        f"{built.total_tokens} of {built.budget} tokens "
        f"({kind}, {built.token_method}), {len(built.included)} memories"
    )
    if not built.dropped:
        return line
    reasons = sorted({item.reason for item in built.dropped})
    return f"{line}, {len(built.dropped)} left out ({', '.join(reasons)})"
