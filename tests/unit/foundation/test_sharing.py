from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.sharing import FairShare, admits

TENANTS = st.sampled_from(["ann", "bob", "cid", "dan"])
STEPS = st.lists(st.tuples(st.booleans(), TENANTS), max_size=300)


def filled(share: FairShare, who: str) -> int:
    """Return how many of one could enter."""
    count = 0
    while share.enter(who):
        count += 1
    return count


def test_one_alone_leaves_room_for_somebody_else() -> None:
    share = FairShare(100)
    assert filled(share, "ann") == 75
    assert share.enter("bob")


def test_two_get_the_same() -> None:
    share = FairShare(100)
    entered = {"ann": 0, "bob": 0}
    for _ in range(100):
        for who in entered:
            entered[who] += share.enter(who)
    assert entered == {"ann": 50, "bob": 50}


def test_the_greedy_one_cannot_grow_while_another_is_below_its_part() -> None:
    share = FairShare(100)
    filled(share, "ann")
    assert share.enter("bob")
    for _ in range(10):
        share.leave("ann")
        assert not share.enter("ann")
        assert share.enter("bob")


def test_leaving_gives_the_place_back() -> None:
    share = FairShare(2)
    assert share.enter("ann")
    share.leave("ann")
    assert share.total == 0
    assert share.enter("ann")


@given(limit=st.integers(1, 40), steps=STEPS)
def test_the_limit_holds_and_nothing_is_lost(limit: int, steps) -> None:
    share, inside = FairShare(limit), []
    for enters, who in steps:
        if enters and share.enter(who):
            inside.append(who)
        elif not enters and who in inside:
            inside.remove(who)
            share.leave(who)
        assert share.total == len(inside) <= limit


@given(limit=st.integers(4, 1000), total=st.integers(0, 999), others=st.integers(0, 9))
def test_who_has_nothing_gets_in_while_there_is_a_place(
    limit: int, total: int, others: int
) -> None:
    assert admits(limit, 0, total, others) == (total < limit)
