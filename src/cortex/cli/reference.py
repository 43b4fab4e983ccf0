"""Writes ``docs/reference/cli.md`` from the command tree itself.

Run ``python -m cortex.cli.reference docs/reference/cli.md`` after changing a command;
a test fails while the page and the program differ.
"""

import sys
from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import typer

from cortex.cli.application import build
from cortex.cli.exits import Exit

_PREFACE = """\
# Commands

Made from the program by `python -m cortex.cli.reference docs/reference/cli.md`; do \
not edit by hand.

Commands other than `serve`, `demo`, `doctor`, `mcp`, `config show`, `config check`, \
`ledger`, `policy`, \
`tokens`, `encryption`, `witness`, `slo validate` and `slo rules` talk to a running \
server: \
the one of `--url`, else of `CORTEX_URL`, else this machine on `CORTEX_PORT` or 4949, \
with the token of `--token`, else of `CORTEX_TOKEN`. Answers go to standard output, \
remarks, progress and errors to standard error. With `--json` the answer is what the \
server said. `ledger verify` and `ledger check` have exit codes of their own.

## Exit codes

| code | meaning |
|---|---|
"""

_MEANINGS = {
    Exit.OK: "done",
    Exit.FAILURE: "it failed, or part of it; the reason is on standard error",
    Exit.USAGE: "the command or its input is wrong",
    Exit.UNREACHABLE: "no server answers",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.AUTH: "the token is missing, unknown, or holds too little",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}


def render() -> str:
    """Return the page."""
    codes = "".join(f"| {code.value} | {_MEANINGS[code]} |\n" for code in Exit)
    sections = _sections(typer.main.get_command(build()), "cortex")
    return _PREFACE + codes + "".join(sections)


def _sections(command: Any, path: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children is None:
        yield _section(command, path)
        return
    for name, child in children.items():
        yield from _sections(child, f"{path} {name}")


def _section(command: Any, path: str) -> str:
    text, _, example = command.help.partition("Example: ")
    parts = [f"\n## {path}\n", f"\n{_paragraphs(text)}\n"]
    ordered = sorted(command.params, key=lambda p: p.param_type_name != "argument")
    rows = [_row(parameter) for parameter in ordered]
    shown = [row for row in rows if row]
    if shown:
        parts.append("\n| option | what |\n|---|---|\n" + "".join(shown))
    parts.append(f"\n```sh\n{example.strip()}\n```\n")
    return "".join(parts)


def _row(parameter: Any) -> str:
    if parameter.name == "help":
        return ""
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [parameter.name.upper()]
    told = (getattr(parameter, "help", None) or "").replace("|", "\\|")
    default = parameter.default
    if default not in (None, False, "", (), MISSING) and not callable(default):
        told = f"{told} Default: {default}.".strip()
    return f"| {', '.join(f'`{name}`' for name in names)} | {told} |\n"


def _paragraphs(text: str) -> str:
    blocks = text.strip().split("\n\n")
    return "\n\n".join(" ".join(block.split()) for block in blocks)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
