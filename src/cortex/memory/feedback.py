"""A query's vector without a model: what is best by words is what is asked about.

Blind relevance feedback: the first few documents by words are taken to be relevant,
and their vectors, each weighted by its score, make up the query's (Rocchio, "Relevance
Feedback in Information Retrieval", in: Salton, "The SMART Retrieval System", 1971;
Croft and Harper, "Using Probabilistic Models of Document Retrieval without Relevance
Information", 1979). It finds what says the same in other words, for a product instead
of a run of the model.
"""

from typing import Final

import numpy as np

from cortex.memory.lexical import LexicalMatch
from cortex.memory.shard import Shard
from cortex.memory.vectors import Floats, Rows

DOCUMENTS: Final = 5
"""Documents that lend their vectors: with three recall at ten is a point lower, with
ten two (LoCoMo)."""


def borrowed(shard: Shard, match: LexicalMatch, strongest: Rows) -> Floats | None:
    """Return the vector, at length 1; None where no words match or none has one."""
    if shard.vectors is None or not len(strongest):
        return None
    documents = np.sort(strongest[:DOCUMENTS])
    rows, positions = shard.chunk_rows(documents)
    total = match.totals[documents][positions] @ shard.vectors.rows(rows)
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32) if length else None
