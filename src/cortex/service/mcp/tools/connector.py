"""search and fetch, in the shapes that ChatGPT's connectors and deep research read.

Their results are one JSON text: ``{"results": [{id, title, url}]}`` and ``{id, title,
text, url, metadata}``.
"""

from typing import Annotated, Any

import orjson
from pydantic import Field

from cortex.memory.model import Query
from cortex.security.scopes import Scope
from cortex.service.fields import QueryText, Wire
from cortex.service.mcp.addresses import MEMORY_PREFIX, address_of, memory_at
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.shapes import moment, readable, title_of
from cortex.service.mcp.tool import Answer, Tool
from cortex.usecases.catalog import UseCases

RESULTS_MAX = 10
"""Results of one search: what such clients read."""


class SearchArguments(Wire):
    """What to look for."""

    query: Annotated[QueryText, Field(description="The question in plain words.")]


class ResultShape(Wire):
    """One result."""

    id: str
    title: str
    url: str


class SearchAnswer(Wire):
    """Results, best first; empty when nothing seems to answer."""

    results: list[ResultShape]


class FetchArguments(Wire):
    """Which memory."""

    id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1_000,
            description="An id of search, or a cortex:// address.",
        ),
    ]


class FetchAnswer(Wire):
    """A whole memory."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, Any]


class ConnectorTools:
    """The two tools that such clients need."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def tools(self) -> tuple[Tool[Any], ...]:
        """Return the tools."""
        return (
            Tool(
                "search",
                "Search the memory",
                "Search what is remembered; returns id, title and url of each result, "
                "best first. Read a result with fetch.",
                SearchArguments,
                SearchAnswer,
                Scope.MEMORY,
                "search",
                self.search,
            ),
            Tool(
                "fetch",
                "Read a memory",
                "Return the whole text of one memory, by the id that search told.",
                FetchArguments,
                FetchAnswer,
                Scope.MEMORY,
                "read",
                self.fetch,
            ),
        )

    async def search(self, caller: Caller, given: SearchArguments) -> Answer:
        """Search the connection's own namespace."""
        asked = Query(given.query, RESULTS_MAX)
        found = await self._cases.search(caller.namespace(), asked, caller.context)
        hits = () if found.low_confidence else found.hits
        results = [
            {
                "id": hit.memory.id,
                "title": title_of(hit.memory),
                "url": address_of(hit.memory),
            }
            for hit in hits
        ]
        return _as_json({"results": results})

    async def fetch(self, caller: Caller, given: FetchArguments) -> Answer:
        """Return one memory."""
        namespace, memory_id = None, given.id
        if given.id.startswith(MEMORY_PREFIX):
            namespace, memory_id = memory_at(given.id)
        place = caller.namespace(namespace)
        memory = readable(await self._cases.get_memory(place, memory_id))
        facts = {
            "author": memory.author,
            "kind": memory.kind,
            "occurred_at": moment(memory.occurred_at),
            "namespace": memory.namespace.name,
        }
        content = {
            "id": memory.id,
            "title": title_of(memory),
            "text": memory.content,
            "url": address_of(memory),
            "metadata": {**memory.metadata, **facts},
        }
        return _as_json(content)


def _as_json(content: dict[str, Any]) -> Answer:
    return Answer(content, orjson.dumps(content).decode())
