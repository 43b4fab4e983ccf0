"""Runs commands in this process against the scripted server."""

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cortex.cli.application import build


@pytest.fixture
def cortex(server: Any) -> Callable[..., Result]:
    """Run ``cortex ARGUMENTS`` with CORTEX_URL naming the scripted server."""

    def run(*arguments: str, stdin: str | None = None, **environ: str | None) -> Result:
        env = {
            "CORTEX_URL": server.url,
            "CORTEX_MAX_RETRIES": "0",
            "COLUMNS": "200",
            **environ,
        }
        return CliRunner().invoke(build(), list(arguments), input=stdin, env=env)

    return run
