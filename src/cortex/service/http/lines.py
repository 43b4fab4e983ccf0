"""The lines before a process: which kinds of requests wait apart, and how many work."""

from dataclasses import replace

from cortex.foundation.crowd import Line, LineOptions

MEDIA_PLACES = 16
"""Files that are worked on at once: each takes long in a process of its own, and all
others would wait behind them."""

OPERATIONS_PLACES = 8
"""Requests of operators that are worked on at once: a few, but always these."""

OPERATIONS_BURST = 16
"""Those of them that may always wait: a page of the dashboard asks for ten things."""


class Lines:
    """The lines of one process."""

    def __init__(self) -> None:
        """Make them, with all places free."""
        options = LineOptions()
        few = replace(options, places=OPERATIONS_PLACES, burst=OPERATIONS_BURST)
        self.requests = Line("requests", options)
        self.media = Line("media", replace(options, places=MEDIA_PLACES))
        self.operations = Line("operations", few)

    def feel(self, late_seconds: float) -> None:
        """Hear how late the event loop came."""
        self.requests.feel(late_seconds)

    def stand(self, now: float) -> bool:
        """Return whether somebody was refused a moment ago."""
        lines = (self.requests, self.media, self.operations)
        return any(line.stands(now) for line in lines)
