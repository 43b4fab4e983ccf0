"""Server-Sent Events, as the WHATWG HTML standard (section 9.2) reads them."""

import json

from cortex_client.call import LineReader
from cortex_client.wire import Event


class EventReader(LineReader[Event]):
    """Collects the lines of one event; an empty line completes it."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._data: list[str] = []
        self._type = ""
        self._id = ""

    def feed(self, line: str) -> Event | None:
        """Return the event that ``line`` completes, if it does."""
        if line:
            self._field(line)
            return None
        data, kind = "\n".join(self._data), self._type
        self._data, self._type = [], ""
        if not data:
            return None
        return Event(id=self._id, type=kind or "message", data=_parsed(data))

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
