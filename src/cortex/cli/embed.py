"""``cortex embed``: a text or a file to a vector."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cortex.cli.command import Server, command, fail
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, say
from cortex_client.calls.media import EmbedOptions
from cortex_client.media_wire import Embedding

SHOWN_NUMBERS = 8
"""Numbers of a vector that are printed for a person."""


@dataclass(frozen=True, slots=True)
class How:
    """What to make of it."""

    modality: Annotated[
        str | None, typer.Option(help="TEXT, IMAGE, AUDIO or VIDEO; else guessed.")
    ] = None
    target: Annotated[
        str, typer.Option(help="text: comparable with texts; native: its own space.")
    ] = "text"
    ocr: Annotated[
        bool, typer.Option("--ocr", help="Read the words in a picture, too.")
    ] = False
    normalize: Annotated[
        bool, typer.Option("--normalize/--as-made", help="Make the vector length 1.")
    ] = True

    def options(self) -> EmbedOptions:
        """Return the options as the client takes them."""
        options = EmbedOptions(
            target=self.target, ocr=self.ocr, normalize=self.normalize
        )
        if self.modality is not None:
            options["modality"] = self.modality.upper()
        return options


@command
def embed(
    server: Server,
    how: How,
    text: Annotated[str | None, typer.Argument(help="The text.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="A picture, recording, film or text."),
    ] = None,
) -> int | None:
    """Print the vector of a text or a file, and how it was made.

    Example: cortex embed --file holiday.jpg --json
    """
    if (text is None) == (file is None):
        fail("embed takes either a text or a --file.")
        return Exit.USAGE
    with server.connect() as client:
        made = client.embed(text, file=file, **how.options())
    if server.as_json:
        print_json(made)
        return None
    numbers = " ".join(f"{value:.4f}" for value in made.embedding[:SHOWN_NUMBERS])
    print(f"{numbers} ...")
    say(f"{made.dimensions} numbers in {made.space} by {made.method}")
    for line in told(made):
        say(line)
    return None


def told(made: Embedding) -> list[str]:
    """Return what was found in a file, a line each."""
    labels = [f"{label.name} {label.probability:.0%}" for label in made.found.labels]
    lines = {
        "shows": ", ".join(labels[:3]),
        "says": made.found.transcript,
        "reads": made.found.words,
    }
    return [f"{name}: {value}" for name, value in lines.items() if value]
