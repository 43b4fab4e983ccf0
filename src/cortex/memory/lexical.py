"""Words of one namespace: an in-memory inverted index scored by BM25.

The index is a projection of the stored documents. Each document stores its terms as
one compact blob (`encode_terms`); the index is loaded from those blobs in bulk and
then follows single additions and removals. Document numbers are ordinals in the
order of insertion, the row numbers of the shard's other columns.

Two levels: a *base* of postings sorted by term in flat arrays, and a *recent* part
in a dictionary, folded into the base when it has grown to a fixed share of it, so
that the cost of an addition stays the same at every size. A posting is one 32-bit
number, the document in the upper 24 bits and the term's count in the lower 8.

Statistics (document frequency, mean length) are the namespace's own, so what a
tenant stores never moves another tenant's ranking.

Scores follow S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework:
BM25 and Beyond" (2009), with the idf that is never negative (Lucene's).
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Words32 = NDArray[np.uint32]

TERM_FREQUENCY_SATURATION: Final = 1.2
"""BM25's k1, the customary value."""

LENGTH_NORMALISATION: Final = 0.75
"""BM25's b, the customary value."""

CONTEXT_WORDS: Final = 50.0
"""Words added to every length before it is normalised.

A message of a conversation is read with what was said around it (see
`cortex.memory.ranking`), so its effective length is its own plus about two short
turns. It keeps BM25 from preferring "Thanks, Mel!" to a sentence with an answer, and
leaves long documents alone.
"""

DOCUMENTS_MAX: Final = 1 << 24
"""Documents that one index numbers: what fits beside the count in a posting."""

COUNT_MAX: Final = 255
"""Occurrences of a term in a document that are told apart; BM25 is flat by then."""

RECENT_DOCUMENTS_MIN: Final = 1_024
"""Additions held apart before the first fold into the base."""

RECENT_SHARE: Final = 8
"""The recent part is folded when it passes one part in this many of the base."""

_SAMPLED_SCORES: Final = 1_024
_MARGIN: Final = 4
_COUNT_BITS: Final = 8
_COUNT_MASK: Final = np.uint32(COUNT_MAX)
_REMOVED: Final = np.float32(np.inf)
"""Length of a removed document: it makes every BM25 weight zero."""

_STORED: Final = np.dtype([("term", "<u4"), ("count", "u1")])


@dataclass(frozen=True, slots=True)
class TermWeight:
    """How much one query term can tell in a namespace."""

    term: int
    document_frequency: int
    inverse_document_frequency: float


@dataclass(frozen=True, slots=True)
class LexicalMatch:
    """What a query's words say about the documents of one namespace.

    `totals` is the BM25 score of every document number, shape (documents,);
    `weights` are the query's terms; `gains` pairs, for each of them, the documents
    that have it, in rising order, with what it adds to their score.
    """

    totals: Floats
    weights: tuple[TermWeight, ...]
    gains: tuple[tuple[NDArray[np.intp], Floats], ...]
    live_documents: int

    @property
    def mean(self) -> float:
        """Mean score over the live documents, those without a query term included."""
        if not self.live_documents:
            return 0.0
        return float(sum(float(gain.sum()) for _, gain in self.gains)) / (
            self.live_documents
        )

    @property
    def possible(self) -> float:
        """Bound of the score: every query term, known or not, at full saturation."""
        idf = sum(weight.inverse_document_frequency for weight in self.weights)
        return idf * (TERM_FREQUENCY_SATURATION + 1)

    def top(self, count: int) -> NDArray[np.intp]:
        """Return the `count` best documents with a query term, best first.

        Equal scores are in order of document number.
        """
        if not self.gains or count < 1:
            return np.empty(0, np.intp)
        return strongest(self.totals, count)

    def matrix(self, documents: NDArray[np.integer]) -> Floats:
        """Return what each term gives each of `documents`: (terms, documents)."""
        found = np.zeros((len(self.gains), len(documents)), np.float32)
        for row, (having, gain) in zip(found, self.gains, strict=True):
            if len(having):
                at = np.minimum(np.searchsorted(having, documents), len(having) - 1)
                row[:] = np.where(having[at] == documents, gain[at], 0)
        return found


def strongest(scores: Floats, count: int) -> NDArray[np.intp]:
    """Return the indices of the `count` highest scores above 0, highest first.

    Equal scores are in order of index; NaN counts as nothing. A threshold from an
    even sample leaves a few hundred scores to sort: selecting among all of 100 000,
    most of them equal to 0, costs milliseconds.
    """
    stride = max(1, len(scores) // _SAMPLED_SCORES)
    sample = scores[::stride]
    rank = _MARGIN * count // stride + 1
    threshold = 0.0
    if rank < len(sample):
        sampled = np.sort(np.where(sample > 0, sample, 0))
        threshold = float(sampled[len(sample) - rank - 1])
    found = np.flatnonzero(scores > threshold)
    if len(found) < count and threshold > 0:
        found = np.flatnonzero(scores > 0)
    return found[np.argsort(-scores[found], kind="stable")][:count]


def encode_terms(counts: Mapping[int, int]) -> bytes:
    """Return the stored form of a document's terms: 5 bytes each, ordered by term.

    Counts above `COUNT_MAX` are stored as that. Equal mappings give equal bytes.
    """
    pairs = [(term, min(count, COUNT_MAX)) for term, count in sorted(counts.items())]
    return np.array(pairs, dtype=_STORED).tobytes()


def decode_terms(blob: bytes) -> dict[int, int]:
    """Return the counts that `encode_terms` stored.

    Raises `ValueError` when `blob` is not a whole number of entries.
    """
    stored = np.frombuffer(blob, dtype=_STORED)
    return dict(zip(stored["term"].tolist(), stored["count"].tolist(), strict=True))


class LexicalIndex:
    """Postings of one namespace; not thread-safe, does no I/O."""

    __slots__ = (
        "_base_offsets",
        "_base_postings",
        "_base_size",
        "_base_terms",
        "_lengths",
        "_live",
        "_recent",
        "_removed",
        "_size",
        "_words",
    )

    def __init__(self) -> None:
        """Start empty."""
        self._base_terms: Words32 = np.empty(0, np.uint32)
        self._base_offsets: NDArray[np.int64] = np.zeros(1, np.int64)
        self._base_postings: Words32 = np.empty(0, np.uint32)
        self._base_size = 0
        self._recent: dict[int, array[int]] = {}
        self._removed = 0
        self._lengths: Floats = np.empty(0, np.float32)
        self._size = 0
        self._live = 0
        self._words = 0.0

    @classmethod
    def load(cls, blobs: Sequence[bytes]) -> "LexicalIndex":
        """Build an index of the documents whose stored terms are given, in order.

        A gap in the numbering (a forgotten row) is an empty blob.
        """
        index = cls()
        if len(blobs) > DOCUMENTS_MAX:
            message = f"an index holds at most {DOCUMENTS_MAX} documents"
            raise ValueError(message)
        stored = np.frombuffer(b"".join(blobs), dtype=_STORED)
        sizes = np.fromiter(map(len, blobs), np.int64, len(blobs)) // _STORED.itemsize
        documents = np.repeat(np.arange(len(blobs), dtype=np.uint32), sizes)
        counts = stored["count"].astype(np.uint32)
        index._lengths = np.bincount(
            documents, weights=counts, minlength=len(blobs)
        ).astype(np.float32)
        index._size = len(blobs)
        index._live = int(np.count_nonzero(index._lengths))
        index._words = float(counts.sum())
        postings: Words32 = (documents << np.uint32(_COUNT_BITS)) | counts
        index._set_base(stored["term"], postings)
        return index

    def __len__(self) -> int:
        """Return how many document numbers were given out, removed ones included."""
        return self._size

    @property
    def live_documents(self) -> int:
        """Documents that have a word and were not removed."""
        return self._live

    @property
    def mean_length(self) -> float:
        """Mean number of words in a live document; 0 when there is none."""
        return self._words / self._live if self._live else 0.0

    @property
    def bytes_held(self) -> int:
        """Bytes of the flat arrays, and an estimate of those of the recent part."""
        flat = self._base_terms.nbytes + self._base_offsets.nbytes
        flat += self._base_postings.nbytes + self._lengths.nbytes
        return flat + sum(160 + 4 * len(p) for p in self._recent.values())

    def add(self, counts: Mapping[int, int]) -> int:
        """Add a document with these terms and return its number, the next ordinal.

        Raises `ValueError` when the index holds `DOCUMENTS_MAX` already.
        """
        document = self._size
        if document >= DOCUMENTS_MAX:
            message = f"an index holds at most {DOCUMENTS_MAX} documents"
            raise ValueError(message)
        recent = self._recent
        length = 0
        for term, count in counts.items():
            kept = min(count, COUNT_MAX)
            length += kept
            posting = (document << _COUNT_BITS) | kept
            postings = recent.get(term)
            if postings is None:
                recent[term] = array("I", (posting,))
            else:
                postings.append(posting)
        if document >= len(self._lengths):
            room = max(RECENT_DOCUMENTS_MIN, len(self._lengths) // RECENT_SHARE)
            self._lengths = np.concatenate((self._lengths, np.zeros(room, np.float32)))
        self._lengths[document] = length
        self._size += 1
        self._live += length > 0
        self._words += length
        waiting = self._size - self._base_size
        if waiting > max(RECENT_DOCUMENTS_MIN, self._base_size // RECENT_SHARE):
            self._fold()
        return document

    def remove(self, document: int) -> None:
        """Take a document out; its number stays taken.

        Its postings stay until the next fold and count for nothing. Removing it again
        does nothing.

        Raises `ValueError` when the number was never given out.
        """
        if not 0 <= document < self._size:
            message = f"document {document} is not in this index"
            raise ValueError(message)
        length = self._lengths[document]
        if length == _REMOVED:
            return
        self._words -= float(length)
        self._live -= bool(length)
        self._lengths[document] = _REMOVED
        self._removed += 1

    def weights(self, query_terms: Iterable[int]) -> tuple[TermWeight, ...]:
        """Return what each query term is worth here; an unknown term weighs most."""
        found = []
        for term in query_terms:
            base, recent = self._postings(term)
            frequency = self._live_among(base) + self._live_among(recent)
            idf = math.log1p((self._live - frequency + 0.5) / (frequency + 0.5))
            found.append(TermWeight(term, frequency, idf))
        return tuple(found)

    def score(self, query_terms: Iterable[int]) -> Floats:
        """Return the BM25 score of every document number, shape (len(self),).

        A removed document and one without a query term score 0.
        """
        return self.match(query_terms).totals

    def match(self, query_terms: Iterable[int]) -> "LexicalMatch":
        """Return all documents with a query term, and what each term gives them."""
        weights = self.weights(query_terms)
        totals = np.zeros(self._size, np.float32)
        gains = tuple(self._gains(weight) for weight in weights)
        for documents, gain in gains:
            totals[documents] += gain
        return LexicalMatch(totals, weights, gains, self._live)

    def lengths(self, documents: NDArray[np.integer]) -> Floats:
        """Return the number of words of each of these documents; removed: infinite."""
        found: Floats = self._lengths[documents]
        return found

    def _live_among(self, postings: Words32) -> int:
        if not self._removed:
            return len(postings)
        lengths = self._lengths[postings >> _COUNT_BITS]
        return int(np.count_nonzero(lengths != _REMOVED))

    def _gains(self, weight: TermWeight) -> tuple[NDArray[np.intp], Floats]:
        base, recent = self._postings(weight.term)
        postings = np.concatenate((base, recent)) if len(recent) else base
        documents = (postings >> _COUNT_BITS).astype(np.intp)
        counts = (postings & _COUNT_MASK).astype(np.float32)
        mean = self.mean_length + CONTEXT_WORDS
        slope = TERM_FREQUENCY_SATURATION * LENGTH_NORMALISATION / mean
        flat = TERM_FREQUENCY_SATURATION * (1 - LENGTH_NORMALISATION)
        flat += slope * CONTEXT_WORDS
        norms = self._lengths[documents] * np.float32(slope) + np.float32(flat)
        most = weight.inverse_document_frequency * (TERM_FREQUENCY_SATURATION + 1)
        gain: Floats = (np.float32(most) * counts / (counts + norms)).astype(np.float32)
        return documents, gain

    def _postings(self, term: int) -> tuple[Words32, Words32]:
        at = int(np.searchsorted(self._base_terms, np.uint32(term)))
        base = self._base_postings[:0]
        if at < len(self._base_terms) and self._base_terms[at] == term:
            base = self._base_postings[
                self._base_offsets[at] : self._base_offsets[at + 1]
            ]
        recent = self._recent.get(term)
        if recent is None:
            return base, self._base_postings[:0]
        # A copy: a view would lock the growing array against the next addition.
        return base, np.array(recent, dtype=np.uint32)

    def _fold(self) -> None:
        """Move the recent part into the base, and let go of removed documents."""
        recent = self._recent
        sizes = np.fromiter(map(len, recent.values()), np.int64, len(recent))
        recent_terms = np.repeat(np.fromiter(recent, np.uint32, len(recent)), sizes)
        recent_postings = np.frombuffer(
            b"".join(p.tobytes() for p in recent.values()), dtype=np.uint32
        )
        base_terms = np.repeat(self._base_terms, np.diff(self._base_offsets))
        terms = np.concatenate((base_terms, recent_terms))
        postings = np.concatenate((self._base_postings, recent_postings))
        kept = self._lengths[postings >> _COUNT_BITS] != _REMOVED
        self._recent = {}
        self._removed = 0
        self._set_base(terms[kept], postings[kept])

    def _set_base(self, terms: Words32, postings: Words32) -> None:
        order = np.argsort(terms, kind="stable")
        ordered = terms[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] + 1))
        self._base_terms = ordered[starts].copy()
        self._base_offsets = np.append(starts, len(ordered)).astype(np.int64)
        self._base_postings = postings[order]
        self._base_size = self._size
