"""The dashboard: a few files without a build step, drawn from the public API.

It holds no data and has no rights of its own: whoever opens it brings a token, and sees
what that token may see. All texts are set as text, never as markup.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'self'; script-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the pages: nothing from elsewhere, nothing inline."""

_SCRIPT = "text/javascript; charset=utf-8"

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    **{
        f"/dashboard/{name}.js": (f"{name}.js", _SCRIPT)
        for name in (
            "app",
            "chart",
            "dom",
            "events",
            "memory",
            "operations",
            "overview",
        )
    },
    "/dashboard/style.css": ("style.css", "text/css; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class StaticPage:
    """One file as it is served."""

    body: bytes
    media_type: str
    policy: str = POLICY


def pages() -> Mapping[str, StaticPage]:
    """Return the dashboard's files by path."""
    folder = resources.files("cortex.service.dashboard").joinpath("static")
    return {
        path: StaticPage(folder.joinpath(name).read_bytes(), media_type)
        for path, (name, media_type) in _FILES.items()
    }
