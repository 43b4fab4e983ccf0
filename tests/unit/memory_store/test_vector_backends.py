"""Each backend that a setting can name serves a whole journey, or says why not."""

import pytest

from cortex.bootstrap.process import build
from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import Principal
from cortex.memory.model import NewMemory, Query, SearchMode
from cortex.settings import Settings, VectorBackend
from cortex.usecases.model import CallContext

CALL = CallContext("backends", "tester")
ANN = Principal("ann")
REFUSED = {
    VectorBackend.CHROMA: "keep the vectors of what was forgotten",
    VectorBackend.PGVECTOR: "not kept in PostgreSQL",
}


def settings(home, backend):
    return Settings(home=home, vector_backend=backend, fast_test=True)


@pytest.mark.parametrize("backend", REFUSED)
def test_a_refusal_names_the_reason(tmp_path, backend):
    with pytest.raises(ValidationError, match=REFUSED[backend]) as refused:
        build(settings(tmp_path, backend))
    assert "usearch" in refused.value.hint


@pytest.mark.parametrize("backend", [b for b in VectorBackend if b not in REFUSED])
async def test_found_until_forgotten_and_after_a_restart(tmp_path, backend):
    space = ANN.namespace("harbour")
    items = [
        NewMemory(text)
        for text in ("The crane lifts boats.", "Zanzibar sells cloves.", "Ropes rot.")
    ]
    question = Query("who sells cloves", 1, mode=SearchMode.SEMANTIC)
    async with build(settings(tmp_path, backend)).running() as app:
        cases = app.use_cases
        stored = await cases.remember(ANN, space, items, CALL)
        found = await cases.search(space, question, CALL)
        assert found.hits[0].memory.id == stored[1].id
        await cases.forget(space, ids=[stored[1].id], selection=None, context=CALL)
        left = await cases.search(space, question, CALL)
        assert stored[1].id not in {hit.memory.id for hit in left.hits}
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"Zanzibar" not in file.read_bytes()
    async with build(settings(tmp_path, backend)).running() as app:
        again = await app.use_cases.search(space, Query("ropes", 1), CALL)
        assert again.hits[0].memory.id == stored[2].id
