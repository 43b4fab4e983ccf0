"""Verifies a stored log against what is kept outside it (pure).

Each entry must follow from the one before, the tree over all of them must have the
root of every trusted head it passes, and the published tiles must be those of that
tree. Where something differs the first bad entry is named: by the chain where it
breaks, else by the leaf hashes of tiles that hash to a trusted root, else by the last
trusted head that still agrees.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from cortex.ledger.deep import check_beside
from cortex.ledger.entry import chain_prefix
from cortex.ledger.errors import ProofInvalid
from cortex.ledger.heads import Heads, examine_heads, good_heads
from cortex.ledger.merkle import HASH_BYTES, CompactRange, leaf_hash, tree_root
from cortex.ledger.notes import encode64
from cortex.ledger.pinned import Pinned
from cortex.ledger.policy import Policy
from cortex.ledger.tiles import (
    TILE_WIDTH,
    Tile,
    TileEdge,
    bundle,
    decode_tile,
    encode_bundle,
    width_at,
)
from cortex.ledger.verdicts import Finding, Reason, Verdict, Verification
from cortex.ledger.walk import BodyMissing, Row, StoredLog, Walk

Progress = Callable[[int], None]
"""Told now and then how many entries were checked."""


_TWO = 2


@dataclass(frozen=True, slots=True)
class Request:
    """How to verify.

    Attributes:
        since: begin behind the trusted head of this size instead of at the start.
        deep: also check canonical form of all, blobs and the search index.
        policy: witnesses that must have cosigned the newest head.
        progress: told how far it is.
    """

    since: int = 0
    deep: bool = False
    policy: Policy | None = None
    progress: Progress | None = None


def verify(
    log: StoredLog, pinned: Pinned | None, request: Request | None = None
) -> Verification:
    """Verify a log; never raises for what the log holds."""
    if pinned is None or not pinned.keys:
        finding = Finding(Reason.NO_KEY, None, "no verifier key is pinned")
        return conclude([finding])
    return _Judge(log, pinned, request or Request()).run()


def conclude(findings: Sequence[Finding], **facts: object) -> Verification:
    """Return the verification that these findings amount to."""
    order = (Verdict.TAMPERED, Verdict.INCOMPLETE, Verdict.UNCHECKABLE)
    ranked = sorted(
        (item for item in findings if item.verdict is not Verdict.INTACT),
        key=lambda item: order.index(item.verdict),
    )
    if not ranked:
        return Verification(Verdict.INTACT, **facts)  # type: ignore[arg-type]
    first = ranked[0]
    index = first.index
    if index is None and first.verdict is Verdict.TAMPERED:
        # A head finding has no entry of its own; an entry finding beside it does.
        named = [item.index for item in ranked if item.index is not None]
        index = named[0] if named else None
    return Verification(
        first.verdict,
        first.reason,
        index,
        first.detail,
        findings=tuple(ranked),
        **facts,  # type: ignore[arg-type]
    )


class _Judge:
    def __init__(self, log: StoredLog, pinned: Pinned, request: Request) -> None:
        self._log = log
        self._pinned = pinned
        self._request = request
        self._findings: list[Finding] = []
        self._tile_findings: list[Finding] = []
        self._recovered: list[str] = []
        self._agreed = 0
        self._block: list[bytes] = []

    def run(self) -> Verification:
        heads = examine_heads(self._log, self._pinned, self._request.policy)
        walk = self._begin(heads)
        if walk is None:
            return conclude(self._findings)
        start = self._agreed = walk.size
        self._walk(walk, heads)
        self._close(walk, heads)
        return conclude(
            [*self._findings, *heads.findings, *self._tile_findings],
            size=walk.size,
            root=encode64(walk.edge.root()),
            signed_size=max(heads.anchors, default=0),
            checked_from=start,
            pinned=self._pinned.head is not None,
            recovered=(*heads.recovered, *self._recovered),
        )

    def _begin(self, heads: Heads) -> Walk | None:
        """Return a walk from the start, or from behind a trusted head."""
        since = self._request.since
        signed = max(heads.anchors, default=0)
        canonical_from = 0 if self._request.deep else signed
        if since == 0:
            return Walk(canonical_from=canonical_from)
        roots = {head.size: head.root for head in self._pinned.trail}
        if self._pinned.head is not None:
            roots[self._pinned.head.size] = self._pinned.head.root
        if since not in roots:
            detail = f"no head of {since} entries is pinned"
            self._findings.append(Finding(Reason.NO_HEAD, None, detail))
            return None
        reader = TileReader(self._log, heads.published)
        edge = reader.edge(since)
        if edge is None or edge.root() != roots[since]:
            # The tiles do not stand for the pinned tree: read everything instead.
            return Walk(canonical_from=canonical_from)
        prev = reader.leaf(since - 1)
        return Walk(edge, prev=prev.hex(), canonical_from=canonical_from)

    def _walk(self, walk: Walk, heads: Heads) -> None:
        self._meet(walk, heads)
        # The block under way belongs to the tile check only if it is read whole.
        aligned = walk.size % TILE_WIDTH == 0
        try:
            for rows in self._log.rows(walk.size):
                for part in _split(rows, walk.size, sorted(heads.anchors)):
                    finding = walk.feed(part)
                    aligned = self._compare(walk, part, heads, aligned=aligned)
                    if finding is not None:
                        self._findings.append(self._blame(finding, walk, heads))
                        return
                    if not self._meet(walk, heads):
                        return
                    if self._request.progress is not None:
                        self._request.progress(walk.size)
        except BodyMissing as missing:
            self._findings.append(missing.finding)

    def _meet(self, walk: Walk, heads: Heads) -> bool:
        """Compare roots where a trusted head has the walk's size."""
        root = heads.anchors.get(walk.size)
        if root is None:
            return True
        if walk.edge.root() == root:
            self._agreed = walk.size
            if walk.size == heads.published:
                self._compare_partials(walk, heads)
            return True
        index = self._locate(walk.size, heads)
        if index is None:
            index = self._agreed
        detail = f"the tree of {walk.size} entries is not the one that was signed"
        self._findings.append(Finding(Reason.ROOT_MISMATCH, index, detail))
        return False

    def _compare(
        self, walk: Walk, part: Sequence[Row], heads: Heads, *, aligned: bool
    ) -> bool:
        """Compare published tiles and bundles with what the entries make of them."""
        if self._request.deep:
            self._findings += check_beside(self._log, part)
        full = walk.take_full()
        for tile, data in full:
            self._compare_file(tile, data, heads)
        for index, body in part:
            if aligned:
                self._block.append(body)
            if index % TILE_WIDTH == TILE_WIDTH - 1:
                if aligned and len(self._block) == TILE_WIDTH:
                    self._compare_bundle(index // TILE_WIDTH, heads)
                self._block, aligned = [], True
        return aligned

    def _compare_partials(self, walk: Walk, heads: Heads) -> None:
        for tile, data in walk.edge.partials():
            self._compare_file(tile, data, heads)
        width = walk.size % TILE_WIDTH
        if width and len(self._block) == width:
            name = bundle(walk.size // TILE_WIDTH, width)
            self._compare_file(name, encode_bundle(self._block), heads)

    def _compare_bundle(self, index: int, heads: Heads) -> None:
        if (index + 1) * TILE_WIDTH > self._log.hot_from():
            self._compare_file(bundle(index), encode_bundle(self._block), heads)

    def _compare_file(self, tile: Tile, data: bytes, heads: Heads) -> None:
        span = TILE_WIDTH ** max(tile.level, 0)
        end = (tile.index * TILE_WIDTH + tile.width) * span
        if end > heads.published or self._tile_findings:
            return
        stored = self._log.tile(tile)
        if stored == data:
            return
        start = tile.index * TILE_WIDTH * span
        path = tile.path()
        torn = stored is None or data.startswith(stored) or not any(stored)
        if torn and (tile.width < TILE_WIDTH or end > self._log.synced()):
            self._recovered.append(f"{path} is missing or torn")
        elif stored is None:
            finding = Finding(Reason.TILE_MISSING, start, f"{path} is missing")
            self._tile_findings.append(finding)
        else:
            finding = _file_finding(tile, data, stored, start)
            self._tile_findings.append(finding)

    def _locate(self, limit: int, heads: Heads) -> int | None:
        return locate(self._log, self._pinned, heads, (self._agreed, limit))

    def _blame(self, finding: Finding, walk: Walk, heads: Heads) -> Finding:
        """Name the first bad entry, which may lie before the one that shows it."""
        index = finding.index
        if index is None:
            return finding
        first = self._locate(index, heads)
        if first is None and finding.reason is Reason.CHAIN_BROKEN and index:
            reader = TileReader(self._log, heads.published)
            vouched = index <= len(reader.trusted(heads.anchors))
            if not vouched and index == walk.size and self._is_followed(index):
                first = index - 1
        if first is None or first < self._agreed:
            return finding
        detail = f"{finding.detail}; entry {first} is the first that was changed"
        return Finding(finding.reason, first, detail)

    def _is_followed(self, index: int) -> bool:
        """Return whether the next entry is chained to this one as it stands."""
        rows = list(islice(_flat(self._log.rows(index)), _TWO))
        if len(rows) < _TWO or rows[1][0] != index + 1:
            return True
        digest = leaf_hash(rows[0][1]).hex()
        return rows[1][1].startswith(chain_prefix(index + 1, digest))

    def _close(self, walk: Walk, heads: Heads) -> None:
        signed = max(heads.anchors, default=0)
        if self._findings:
            return
        if signed > walk.size:
            detail = f"{signed} entries were signed, {walk.size} are left"
            first = self._locate(walk.size, heads)
            index = walk.size if first is None else first
            self._findings.append(Finding(Reason.TRUNCATED, index, detail))
        elif not heads.anchors and not heads.findings:
            detail = "no signed head vouches for these entries"
            self._findings.append(Finding(Reason.NO_HEAD, None, detail))


class TileReader:
    """Reads leaf hashes and edges from tiles that nobody vouches for yet."""

    def __init__(self, log: StoredLog, published: int) -> None:
        """Take the log and the size its tiles were published for."""
        self._log = log
        self._published = published

    def hashes(self, tile: Tile) -> list[bytes]:
        """Return the first hashes of a tile from whichever width is there."""
        width = width_at(tile.level, tile.index, self._published)
        for candidate in (tile.width, width, TILE_WIDTH):
            if candidate < tile.width:
                continue
            data = self._log.tile(Tile(tile.level, tile.index, candidate))
            if data is not None and len(data) % HASH_BYTES == 0:
                return decode_tile(data, len(data) // HASH_BYTES)[: tile.width]
        return []

    def edge(self, size: int) -> TileEdge | None:
        """Return the edge of a tree of ``size`` as the tiles have it."""
        try:
            return TileEdge.load(size, self.hashes)
        except ProofInvalid:
            return None

    def leaf(self, index: int) -> bytes:
        """Return a leaf hash as the tiles have it; empty if they do not."""
        number, place = divmod(index, TILE_WIDTH)
        hashes = self.hashes(Tile(0, number, place + 1))
        return hashes[place] if len(hashes) > place else b""

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Return leaf hashes of ``[start, stop)``; fewer if tiles are missing."""
        found: list[bytes] = []
        while start < stop:
            number, place = divmod(start, TILE_WIDTH)
            end = min(stop, (number + 1) * TILE_WIDTH)
            hashes = self.hashes(Tile(0, number, end - number * TILE_WIDTH))
            if len(hashes) < end - number * TILE_WIDTH:
                break
            found += hashes[place:]
            start = end
        return found

    def trusted(self, anchors: Mapping[int, bytes]) -> list[bytes]:
        """Return the leaf hashes that hash to the largest trusted root they can."""
        for size in sorted(anchors, reverse=True):
            leaves = self.leaves(0, size)
            if len(leaves) == size and tree_root(leaves) == anchors[size]:
                return leaves
        return []


def locate(
    log: StoredLog, pinned: Pinned, heads: Heads, between: tuple[int, int]
) -> int | None:
    """Return the first entry below a limit that is not what was signed.

    Without tiles that hash to a trusted root, the last trusted head that agrees gives
    a lower bound. None: nothing below the limit is known to differ.

    ``between``: the size up to which all agrees, and the limit.
    """
    agreed, limit = between
    signed = TileReader(log, heads.published).trusted(heads.anchors)
    roots = dict(good_heads(log.heads(), pinned))
    roots.update(heads.anchors)
    grown = CompactRange()
    for index, body in _flat(log.rows(0)):
        if index >= limit:
            break
        digest = leaf_hash(body)
        if index < len(signed) and signed[index] != digest:
            return index
        grown.append(digest)
        expected = roots.get(grown.size, b"")
        if expected and grown.root() != expected:
            return agreed
        agreed = grown.size if expected else agreed
    return None


def _flat(groups: Iterator[Sequence[Row]]) -> Iterator[Row]:
    try:
        for rows in groups:
            yield from rows
    except BodyMissing:
        return


def _split(
    rows: Sequence[Row], size: int, anchors: Sequence[int]
) -> Iterator[Sequence[Row]]:
    """Cut rows where a trusted head has to be compared."""
    position = 0
    for anchor in anchors:
        take = anchor - size
        if position < take < len(rows):
            yield rows[position:take]
            position = take
    yield rows[position:]


def _file_finding(tile: Tile, data: bytes, stored: bytes, start: int) -> Finding:
    reason = Reason.BUNDLE_MISMATCH if tile.level < 0 else Reason.TILE_MISMATCH
    index = start
    if tile.level == 0:
        at = next(
            (i for i, (a, b) in enumerate(zip(data, stored, strict=False)) if a != b),
            min(len(data), len(stored)),
        )
        index = start + at // HASH_BYTES
    detail = f"{tile.path()} is not made of the entries"
    return Finding(reason, index, detail)
