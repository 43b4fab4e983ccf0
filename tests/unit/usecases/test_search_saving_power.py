"""While power is saved a search does without the model where it can."""

from dataclasses import dataclass, replace

import pytest

from cortex.inference.ports import Vector
from cortex.memory.model import Query, SearchMode
from cortex.testing.memory import vector_of
from cortex.usecases.model import CallContext


@dataclass
class Saving:
    """Saves power, and keeps the vectors of some texts."""

    saving: bool = True
    known: tuple[str, ...] = ()

    def kept(self, text: str) -> Vector | None:
        return vector_of(text) if text in self.known else None


@pytest.fixture
async def filled(house):
    await house.remember("harbour rope", "rope tar", "tea biscuit")
    house.embedder.asked.clear()
    return house


async def found(house, thrift: Saving, query: Query, call: CallContext) -> list[str]:
    search = replace(house.search, thrift=thrift)
    hits = (await search(house.namespace, query, call)).hits
    return [hit.memory.content for hit in hits]


async def test_words_lead_to_what_means_the_same_and_no_model_runs(
    filled, call
) -> None:
    texts = await found(filled, Saving(), Query("harbour"), call)
    assert texts[:2] == ["harbour rope", "rope tar"]
    assert filled.embedder.asked == []


async def test_a_vector_that_is_kept_is_used(filled, call) -> None:
    texts = await found(filled, Saving(known=("biscuit",)), Query("biscuit", 1), call)
    assert texts == ["tea biscuit"]
    assert filled.embedder.asked == []


@pytest.mark.parametrize(
    ("query", "saving"),
    [
        (Query("unheard"), True),
        (Query("harbour", mode=SearchMode.SEMANTIC), True),
        (Query("harbour"), False),
    ],
)
async def test_the_model_runs_for_unknown_words_for_meaning_alone_and_otherwise(
    filled, call, query: Query, saving: bool
) -> None:
    await found(filled, Saving(saving), query, call)
    assert filled.embedder.asked == [query.text]
