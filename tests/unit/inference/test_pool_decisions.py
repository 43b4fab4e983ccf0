"""Admission, choice of a replica, batches, signs of life and frames: all pure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.inference.admission import AdmissionLimits, BoundedQueue, admit
from cortex.inference.batching import BatchPolicy, Waiting, take
from cortex.inference.choice import ShortestDelay, choose
from cortex.inference.frames import (
    HEADER,
    BadFrame,
    Frame,
    Kind,
    encode,
    facts_body,
    header,
    read_facts,
    read_texts,
    read_vectors,
    texts_body,
    vectors_body,
)
from cortex.inference.ports import Admitted, Load, Pushback, ReplicaView
from cortex.inference.watching import (
    RUN_SECONDS_MAX,
    SILENCE_SECONDS_MAX,
    Signs,
    hangs,
    restart_wait_seconds,
)

LOADS = st.builds(
    Load,
    waiting=st.integers(0, 5000),
    lanes=st.integers(0, 16),
    seconds_each=st.floats(0, 5),
)
LIMITS = AdmissionLimits(waiting_max=1000, wait_seconds_max=30)


@given(load=LOADS, pieces=st.integers(1, 3000))
def test_what_is_taken_fits_and_what_is_not_says_when_to_return(
    load: Load, pieces: int
) -> None:
    answer = admit(load, pieces, LIMITS)
    if isinstance(answer, Admitted):
        assert not load.waiting or load.waiting + pieces <= LIMITS.waiting_max
    else:
        assert load.waiting
        assert answer.retry_after_seconds >= 0.1
        assert answer.limit in {LIMITS.waiting_max, LIMITS.wait_seconds_max}


@given(load=LOADS, pieces=st.integers(1, 3000), more=st.integers(0, 500))
def test_more_work_is_never_taken_where_less_is_refused(
    load: Load, pieces: int, more: int
) -> None:
    if isinstance(admit(load, pieces, LIMITS), Pushback):
        assert isinstance(admit(load, pieces + more, LIMITS), Pushback)


def test_work_that_would_come_too_late_is_refused_at_once() -> None:
    gate = BoundedQueue(AdmissionLimits(wait_seconds_max=1))
    answer = gate.admit(Load(waiting=10, lanes=1, seconds_each=0.2), 1)
    assert isinstance(answer, Pushback)
    assert "over 1 s" in answer.reason
    assert gate.admit(Load(waiting=0, lanes=1, seconds_each=9), 1) == Admitted()


VIEWS = st.lists(
    st.builds(
        ReplicaView,
        name=st.sampled_from("abcdef"),
        outstanding=st.integers(0, 20),
        lanes=st.integers(1, 4),
        room=st.integers(-2, 20),
        seconds_each=st.floats(0, 2),
    ),
    unique_by=lambda view: view.name,
    max_size=6,
)


@given(views=VIEWS, avoid=st.frozensets(st.sampled_from("abcdef")))
def test_only_replicas_with_room_are_chosen_and_the_lost_ones_last(
    views: list[ReplicaView], avoid: frozenset[str]
) -> None:
    name = choose(views, avoid)
    able = {view.name for view in views if view.room > 0}
    if name is None:
        assert not able
    else:
        assert name in able
        assert name not in avoid or able <= avoid


def test_the_one_that_is_done_first_is_chosen() -> None:
    slow = ReplicaView("slow", outstanding=0, lanes=1, room=9, seconds_each=1.0)
    busy = ReplicaView("busy", outstanding=3, lanes=1, room=9, seconds_each=0.2)
    assert ShortestDelay().choose([slow, busy], frozenset()) == "busy"
    late = ReplicaView("busy", outstanding=6, lanes=1, room=9, seconds_each=0.2)
    assert ShortestDelay().choose([slow, late], frozenset()) == "slow"
    # One odd run of a minute does not keep work away for ever.
    odd = ReplicaView("odd", outstanding=0, lanes=1, room=9, seconds_each=60)
    full = ReplicaView("full", outstanding=9, lanes=1, room=1, seconds_each=0.1)
    assert ShortestDelay().choose([odd, full], frozenset()) == "odd"


QUEUES = st.lists(
    st.builds(
        Waiting,
        characters=st.integers(0, 60),
        since=st.floats(0, 10),
        alone=st.booleans(),
    ),
    max_size=12,
)


@given(queue=QUEUES, wait=st.floats(0, 5), now=st.floats(10, 20))
def test_a_batch_is_bounded_and_nothing_waits_for_ever(
    queue: list[Waiting], wait: float, now: float
) -> None:
    policy = BatchPolicy(texts_max=4, characters_max=100, wait_seconds=wait)
    count = take(queue, policy, now)
    assert 0 <= count <= min(4, len(queue))
    batch = queue[:count]
    if count > 1:
        assert sum(text.characters for text in batch) <= 100
        assert not any(text.alone for text in batch)
    if queue and now - queue[0].since >= wait:
        assert count
    if queue and not count:
        assert len(queue) < 4


def test_a_batch_waits_for_company_and_goes_when_it_is_full() -> None:
    policy = BatchPolicy(texts_max=2, wait_seconds=0.02)
    one = Waiting(5, since=1.0)
    assert take([one], policy, 1.01) == 0
    assert take([one], policy, 1.02) == 1
    assert take([one, one], policy, 1.0) == 2
    assert take([one, one, one], policy, 1.0) == 2


def test_silence_is_judged_from_when_it_was_asked_and_not_while_all_stood_still() -> (
    None
):
    asked = Signs(heard_at=5.0, asked_at=10.0)
    assert hangs(asked, 9.9 + SILENCE_SECONDS_MAX, 0) is None
    assert hangs(asked, 10.1 + SILENCE_SECONDS_MAX, 0) is not None
    assert hangs(asked, 10.1 + SILENCE_SECONDS_MAX, 1.0) is None
    assert hangs(Signs(heard_at=5.0), 500.0, 0) is None
    busy = Signs(heard_at=40.0, running_since=5.0)
    assert hangs(busy, 5.0 + RUN_SECONDS_MAX, 0) is None
    assert hangs(busy, 5.1 + RUN_SECONDS_MAX, 0) is not None


def test_restarts_begin_at_once_and_slow_down() -> None:
    waits = [restart_wait_seconds(failures) for failures in range(50)]
    assert waits[:2] == [0, 0]
    assert waits == sorted(waits)
    assert waits[-1] == 30


@given(st.lists(st.text(st.characters(exclude_categories=()))))
def test_texts_survive_the_trip(texts: list[str]) -> None:
    assert read_texts(texts_body(texts)) == texts


@given(st.binary(max_size=60))
def test_any_bytes_are_texts_or_refused(body: bytes) -> None:
    try:
        texts = read_texts(body)
    except BadFrame:
        return
    assert texts_body(texts) == body


@given(st.binary(max_size=60))
def test_any_bytes_are_vectors_or_refused(body: bytes) -> None:
    try:
        vectors, _ = read_vectors(body)
    except BadFrame:
        return
    assert all(vector.dtype == np.float32 for vector in vectors)


def test_vectors_survive_the_trip_and_cannot_be_written() -> None:
    vectors = [np.arange(3, dtype=np.float32) + n for n in range(4)]
    found, seconds = read_vectors(vectors_body(vectors, 0.25))
    assert seconds == 0.25
    for sent, came in zip(vectors, found, strict=True):
        np.testing.assert_array_equal(sent, came)
        assert not came.flags.writeable


def test_a_header_with_an_unknown_kind_or_a_huge_body_is_refused() -> None:
    data = encode(Frame(Kind.RUN, 7, b"abc"))
    assert header(data[: HEADER.size]) == (3, Kind.RUN, 7)
    for length, kind in ((1, 99), (2**31, 3)):
        with pytest.raises(BadFrame):
            header(HEADER.pack(length, kind, 0))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_facts_are_a_json_object_or_refused(body: bytes) -> None:
    assert read_facts(facts_body({"pid": 1})) == {"pid": 1}
    with pytest.raises(BadFrame):
        read_facts(body)
