"""Names the route of a path without routing it, for requests that go no further."""

import re
from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import BaseRoute

from cortex.telemetry.metrics import UNMATCHED_ROUTE


class Templates:
    """Route templates by the first part of their path: few have the same."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """Take the routes, the first that fits wins."""
        self._by_first: dict[str, list[tuple[re.Pattern[str], str]]] = defaultdict(list)
        for route in routes:
            pattern = getattr(route, "path_regex", None)
            template = getattr(route, "path_format", "")
            if pattern is not None and template:
                self._by_first[first_part(template)].append((pattern, template))

    def of(self, path: str) -> str:
        """Return the template, such as ``/memory/{memory_id}``."""
        for pattern, template in self._by_first.get(first_part(path), ()):
            if pattern.match(path):
                return template
        return UNMATCHED_ROUTE


def first_part(path: str) -> str:
    """Return what stands between the first two slashes."""
    return path[1:].partition("/")[0]
