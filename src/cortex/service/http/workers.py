"""Several server processes behind one socket, watched over by their parent.

A child that dies is started again. The stop signals are handed on; the parent waits
for the children's drain and ends with 0 when all of them ended cleanly.
"""

import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

RESTART_LIMIT = 10
"""Deaths before a worker ever served well after which the parent gives up."""

WATCH_SECONDS = 1.0
"""Between two looks at the source files, and at the children."""

KILL_GRACE_SECONDS = 5.0
"""Beyond the drain time, before a child that does not end is killed."""

_CLEAN = (0, -signal.SIGTERM)
"""Ends of a child that lose no request: a child that serves ends itself with 0; one
that dies of the signal had not begun to serve."""

Snapshot = dict[Path, float]


class Supervisor:
    """Keeps a number of child processes running until told to stop."""

    def __init__(
        self,
        start: Callable[[], BaseProcess],
        *,
        workers: int,
        drain_seconds: float,
        watched: Path | None = None,
    ) -> None:
        """Take how to make a child; ``watched`` restarts them when a source changes."""
        self._start = start
        self._workers = workers
        self._drain_seconds = drain_seconds
        self._watched = watched
        self._stopping = False
        self._forced = False
        self._children: list[BaseProcess] = []

    def run(self) -> int:
        """Run until stopped; return the exit status of the whole."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        self._children = [self._started() for _ in range(self._workers)]
        deaths = 0
        seen = self._sources()
        while not self._stopping:
            self._wait(WATCH_SECONDS)
            now = self._sources()
            if now != seen and not self._stopping:
                seen = now
                self._restart_all()
            deaths += self._replace_dead()
            if deaths > RESTART_LIMIT * self._workers:
                self._stop_children()
        return self._end()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._forced = self._stopping
        self._stop_children()

    def _stop_children(self) -> None:
        """Tell the children; a second time means *now* to them."""
        self._stopping = True
        for child in self._children:
            if child.is_alive():
                child.terminate()

    def _started(self) -> BaseProcess:
        child = self._start()
        child.start()
        return child

    def _wait(self, seconds: float) -> None:
        alive = [child.sentinel for child in self._children if child.is_alive()]
        multiprocessing.connection.wait(alive, timeout=seconds)

    def _replace_dead(self) -> int:
        dead = [child for child in self._children if not child.is_alive()]
        if self._stopping:
            return 0
        for child in dead:
            child.join()
            self._children[self._children.index(child)] = self._started()
        return len(dead)

    def _restart_all(self) -> None:
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.join(self._drain_seconds + KILL_GRACE_SECONDS)
            if child.is_alive():
                child.kill()
        self._children = [self._started() for _ in range(self._workers)]

    def _end(self) -> int:
        for child in self._children:
            child.join(0 if self._forced else self._drain_seconds + KILL_GRACE_SECONDS)
            if child.is_alive():
                child.kill()
                child.join()
        return 0 if all(child.exitcode in _CLEAN for child in self._children) else 1

    def _sources(self) -> Snapshot:
        return dict(_changed(self._watched)) if self._watched else {}


def _changed(folder: Path) -> Iterator[tuple[Path, float]]:
    for path in sorted(folder.rglob("*.py")):
        try:
            yield path, path.stat().st_mtime
        except FileNotFoundError:
            continue
