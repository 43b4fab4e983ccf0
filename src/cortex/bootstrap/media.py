"""What reads pictures, recordings and films, from the settings."""

import os
from typing import Final

from cortex.app import Loop, opened
from cortex.bootstrap.tools import Tools
from cortex.foundation.lifecycle import Component
from cortex.inference.media.stand_in import StandInReader
from cortex.inference.media.workers import MediaWorkers, WorkerOptions
from cortex.settings import Settings

PASSED_ON: Final = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR")
"""What the processes see of the environment: nothing that is secret."""

SET: Final = {
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""No threads but the models' own, and no files."""


def open_media(settings: Settings, tools: Tools) -> MediaWorkers | StandInReader:
    """Return the reader; a process is started with the first file."""
    if settings.fast_test:
        return StandInReader()
    environ = os.environ  # noqa: TID251 - handed on, not read as settings
    passed = {name: environ[name] for name in PASSED_ON if name in environ}
    options = WorkerOptions(
        processes=settings.media_processes, environment={**passed, **SET}
    )
    return MediaWorkers(tools.clock, options)


def media_components(
    reader: MediaWorkers | StandInReader, tools: Tools
) -> tuple[Component, ...]:
    """Return what ends the processes: those that idle now and then, all at the end."""

    async def begin() -> None:
        """Start nothing: the first file does."""

    loop = () if isinstance(reader, StandInReader) else (_loop(reader, tools),)
    return (opened("media", begin, reader.close), *loop)


def _loop(reader: MediaWorkers, tools: Tools) -> Component:
    return Loop("media-idle", reader.run, tools.clock, tools.log).component()
