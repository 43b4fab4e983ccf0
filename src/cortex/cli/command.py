"""What all commands share: grouped options, and errors told in one line.

A command may take frozen groups of options (``Server``, ``Where`` …) instead of a
dozen parameters: ``command`` spells the fields out for the parser and puts the
group together again.
"""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer
from rich.console import Console

from cortex.cli.exits import Exit, exit_of
from cortex.cli.hints import in_commands, in_options
from cortex.foundation.errors import CortexError
from cortex_client import CortexClientSync
from cortex_client.errors import CortexError as ClientError
from cortex_client.errors import sentences

START_HINT = "Start one with `cortex serve`, or name another with --url."

_WRONG_NAME = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""The input is wrong, and no verdict, for which some commands have 1."""


@dataclass(frozen=True, slots=True)
class Server:
    """Which server to ask, and how to print its answer."""

    url: Annotated[
        str | None,
        typer.Option("--url", help="Server address; else CORTEX_URL, else this host."),
    ] = None
    token: Annotated[
        str | None, typer.Option("--token", help="Bearer token; else CORTEX_TOKEN.")
    ] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a table.")
    ] = False

    def connect(self) -> CortexClientSync:
        """Return a client for the server; nothing is sent yet."""
        return CortexClientSync(self.url, token=self.token)


def in_words(error: CortexError | OSError) -> str:
    """Return an error as a person reads it: without its number, with its file."""
    if isinstance(error, CortexError):
        return str(error)
    return f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Turn a function into what typer can register.

    Its dataclass parameters become options, its return value the exit code (None is
    0), and expected errors one line on standard error.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = hints[name]
        if is_dataclass(kind):
            groups[name] = kind
            parameters += _spelled_out(kind)
        else:
            parameters.append(
                parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY)
            )

    @wraps(function)
    def run(**given: object) -> None:
        for name, kind in groups.items():
            own = {field.name: given.pop(field.name) for field in fields(kind)}
            given[name] = kind(**own)
        raise typer.Exit(_guarded(function, given))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


def fail(message: str, hint: str = "") -> None:
    """Say what went wrong, and what to do, in one line on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]error:[/]", end=" ")
    console.print(sentences(message, in_commands(hint)), markup=False)


def _spelled_out(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty
            if field.default is MISSING
            else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _guarded(function: Callable[..., int | None], given: dict[str, Any]) -> int:
    try:
        return function(**given) or Exit.OK
    except ClientError as error:
        code = exit_of(error)
        hint = START_HINT if code is Exit.UNREACHABLE else error.hint
        fail(in_options(error.message), hint)
        return code
    except CortexError as error:
        # It knows the errors of every room: only a command that failed loads them.
        from cortex.service.problems import meaning_of

        fail(error.message, error.hint)
        return meaning_of(error).exit_code
    except BrokenPipeError:
        _forget_stdout()
        return Exit.FAILURE
    except OSError as error:
        fail(in_words(error))
        return Exit.USAGE if isinstance(error, _WRONG_NAME) else Exit.FAILURE
    except KeyboardInterrupt:
        fail("interrupted")
        return Exit.INTERRUPTED


def _forget_stdout() -> None:
    """Send what is left to nowhere: the reader of the pipe, such as head, is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
