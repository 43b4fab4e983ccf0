"""The steps of the demo, in order; each asks the server over HTTP through the SDK."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cortex.cli.context import counts
from cortex.cli.demo import proof, story
from cortex.cli.printing import moment, snippet
from cortex.cli.transfer import bar, import_steps
from cortex_client import CortexClientSync
from cortex_client.wire import Recalled

ANSWER_CHARACTERS_MAX = 420


@dataclass(slots=True)
class Journey:
    """One run of the demo: what it talks to, and what each step took."""

    client: CortexClientSync
    home: Path
    console: Console
    times: list[tuple[str, float, str]] = field(default_factory=list)

    def run(self) -> bool:
        """Do every step; return whether everything that was promised held."""
        self.import_conversation()
        for question in story.QUESTIONS:
            self.ask(question)
        honest = self.ask_unanswerable()
        fits = self.pack_context()
        gone = self.forget_person()
        self.show_times()
        return honest and fits and gone

    @contextmanager
    def timed(self, step: str) -> Iterator[Callable[[str], None]]:
        """Measure a step; the given function adds a note to its line."""
        notes: list[str] = []
        began = perf_counter()
        yield notes.append
        self.times.append((step, perf_counter() - began, " ".join(notes)))

    def import_conversation(self) -> None:
        """Import the shipped conversation in batches, with a progress bar."""
        self._headline("Import", "the Apollo 11 air-to-ground transcript, July 1969")
        lines = proof.data()
        with self.timed("import") as note, bar("lines", len(lines)) as progress:
            for step in import_steps(self.client, iter(lines), story.NAMESPACE):
                progress.update(progress.task_ids[0], completed=step.line)
            stored = self.client.stats(namespace=story.NAMESPACE).total
            note(f"{stored} turns, embedded and durable")
        self._line(f"{stored} turns stored and searchable")

    def ask(self, question: str) -> Recalled:
        """Ask one question and show what was recalled."""
        self._headline("Ask", question)
        with self.timed("search") as note:
            found = self._search(question)
            note(snippet(question))
        self._show(found)
        return found

    def ask_unanswerable(self) -> bool:
        """Ask what nobody said; a good memory says that it does not know."""
        found = self.ask(story.UNANSWERED)
        if found.low_confidence or not found.hits:
            self._line("Never said, and the answer admits it: low_confidence.")
            return True
        self._line("This was never said, but the answer does not say so.")
        return False

    def pack_context(self) -> bool:
        """Pack a context into an exact budget and show it."""
        self._headline("Context", story.CONTEXT_QUERY)
        with self.timed("context") as note:
            built = self.client.build_context(
                story.CONTEXT_QUERY,
                namespace=story.NAMESPACE,
                model=story.CONTEXT_MODEL,
                max_tokens=story.CONTEXT_TOKENS_MAX,
                reserve_tokens=story.CONTEXT_RESERVE_TOKENS,
            )
            note(f"{built.total_tokens} tokens for {story.CONTEXT_MODEL}")
        self._line(built.text)
        budget = story.CONTEXT_TOKENS_MAX - story.CONTEXT_RESERVE_TOKENS
        self._line(
            f"{counts(built)}; {story.CONTEXT_RESERVE_TOKENS} of "
            f"{story.CONTEXT_TOKENS_MAX} kept free for the answer"
        )
        return 0 < built.total_tokens <= budget

    def forget_person(self) -> bool:
        """Forget everything one person said, and look for it everywhere."""
        person = story.FORGOTTEN
        self._headline("Forget", f"everything {person.name} said")
        words = proof.own_words(proof.data(), person.user_id)
        before = self.client.stats(namespace=story.NAMESPACE).total
        on_disk = proof.found_in(self.home, words)
        with self.timed("forget") as note:
            gone = self.client.forget(
                None, namespace=story.NAMESPACE, user_id=person.user_id
            )
            note(f"{len(gone.ids)} memories, verified")
        with self.timed("proof") as note:
            after = self.client.stats(namespace=story.NAMESPACE).total
            left = proof.found_in(self.home, words)
            found = self._search(story.QUESTIONS[-1])
            note("counted, searched, every file read")
        theirs = [hit for hit in found.hits if hit.user_id == person.user_id]
        self._line(f"memories: {before} before, {after} after")
        self._line(
            f"own sentences in the raw files of {self.home}: {on_disk} of "
            f"{len(words)} before, {left} after"
        )
        self._line(
            f'asked again "{story.QUESTIONS[-1]}": {len(theirs)} hits by {person.name}'
        )
        self._show(found)
        return before - after == len(gone.ids) > 0 == left and not theirs

    def show_times(self) -> None:
        """Print what each step took."""
        self._headline("Time", "of each step, over HTTP")
        table = Table("step", "ms", "what")
        for step, seconds, note in self.times:
            table.add_row(step, f"{seconds * 1000:.1f}", Text(note))
        self.console.print(table)

    def _search(self, question: str) -> Recalled:
        return self.client.recall(question, story.HITS_SHOWN, namespace=story.NAMESPACE)

    def _show(self, found: Recalled) -> None:
        if not found.hits:
            self._line("nothing found")
        for hit in found.hits:
            head = (
                f"{hit.author}, {moment(hit.occurred_at)} UTC "
                f"(score {hit.score:.2f}, confidence {hit.confidence:.2f})"
            )
            self._line(head, style="cyan")
            self._line(_shortened(hit.content), indent=4)

    def _headline(self, verb: str, what: str) -> None:
        self.console.print()
        self.console.print(Text.assemble((f"{verb}: ", "bold green"), what))

    def _line(self, text: str, *, style: str = "", indent: int = 2) -> None:
        self.console.print(Padding.indent(Text(text, style=style), indent))


def _shortened(text: str) -> str:
    if len(text) <= ANSWER_CHARACTERS_MAX:
        return text
    return text[:ANSWER_CHARACTERS_MAX] + "…"
