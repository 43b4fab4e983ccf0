"""``cortex sessions``: conversations."""

from typing import Annotated

import typer

from cortex.cli.command import Server, command
from cortex.cli.printing import moment, plain, print_json, print_table
from cortex.cli.selecting import NamespaceName

MESSAGES_PER_PAGE = 100


@command
def list_(
    server: Server,
    namespace: NamespaceName = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most.")] = 50,
) -> None:
    """List conversations.

    Example: cortex sessions list --namespace team-a
    """
    with server.connect() as client:
        page = client.list_sessions(namespace=namespace, limit=limit)
    if server.as_json:
        print_json(page)
        return
    rows = [
        (s.id, s.title, s.user_id or "", str(s.message_count), moment(s.updated_at))
        for s in page.sessions
    ]
    print_table(("id", "title", "user", "messages", "updated"), rows)


@command
def show(
    session_id: Annotated[str, typer.Argument(help="Session id.")],
    server: Server,
    namespace: NamespaceName = None,
    limit: Annotated[
        int, typer.Option(min=1, max=500, help="Messages at most.")
    ] = MESSAGES_PER_PAGE,
) -> None:
    """Show a conversation and its newest messages, the last one at the end.

    Example: cortex sessions show 0195f3c2-7d1e-7a00-8000-1c2d3e4f5a6b
    """
    with server.connect() as client:
        session = client.get_session(session_id, namespace=namespace)
        page = client.list_messages(session_id, namespace=namespace, limit=limit)
    if server.as_json:
        print_json({"session": plain(session), "messages": plain(page.memories)})
        return
    print(f"{session.title or session.id}: {session.message_count} messages")
    newest_last = reversed(page.memories)
    rows = [(moment(m.occurred_at), m.author, m.content) for m in newest_last]
    print_table(("when", "author", "text"), rows)


@command
def new(
    server: Server,
    title: Annotated[str, typer.Argument(help="What it is about.")] = "",
    session_id: Annotated[str | None, typer.Option("--id", help="Own id.")] = None,
    user: Annotated[str | None, typer.Option(help="User id.")] = None,
    agent: Annotated[str | None, typer.Option(help="Agent id.")] = None,
    namespace: NamespaceName = None,
) -> None:
    """Open a conversation; prints its id.

    Example: cortex sessions new "Planning the trip" --user ana
    """
    with server.connect() as client:
        session = client.create_session(
            title, id=session_id, user_id=user, agent_id=agent, namespace=namespace
        )
    if server.as_json:
        print_json(session)
        return
    print(session.id)


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="Conversations: list, show, open.")
    group.command("list")(list_)
    group.command("show")(show)
    group.command("new")(new)
    return group
