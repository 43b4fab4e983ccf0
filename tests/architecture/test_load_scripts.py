"""A route that is added is loaded, too."""

import re
from pathlib import Path

from fastapi import FastAPI

from cortex.bootstrap.process import build_edge
from cortex.settings import Settings

SCRIPTS = Path(__file__).parents[1] / "performance"

NOT_LOADED = {"GET /events/stream": "k6 cannot wait for the end of a stream"}


def application(edge: object) -> FastAPI:
    """Return what is inside of the middleware."""
    while not isinstance(edge, FastAPI):
        edge = edge._app  # type: ignore[attr-defined]
    return edge


def test_every_route_of_the_description_is_in_a_load_script(tmp_path: Path) -> None:
    _, config = build_edge(Settings(home=tmp_path, fast_test=True))
    described = application(config.app).openapi()["paths"]
    operations = {
        f"{method.upper()} {path}"
        for path, ways in described.items()
        for method in ways
    }
    scripts = "\n".join(path.read_text("utf-8") for path in SCRIPTS.glob("*.js"))
    loaded = set(re.findall(r"'((?:GET|POST|PUT|PATCH|DELETE) /[^' ]*)'", scripts))
    assert operations - loaded == set(NOT_LOADED), "add them to tests/performance/"
    assert loaded - operations == set(), "they are no more"
