import pytest

from cortex.telemetry import correlation


@pytest.mark.parametrize("value", ["a", "order 7/x", "~" * 128, "019-abc"])
def test_printable_ids_are_taken(value):
    assert correlation.accept(value) == value


@pytest.mark.parametrize(
    "value", [None, "", "x" * 129, "a\nb", "a\x00", "naïve", "\x7f", "a\tb"]
)
def test_other_ids_are_not(value):
    assert correlation.accept(value) is None


def test_an_id_is_current_inside_its_block_only():
    with correlation.bound("outer"):
        with correlation.bound("inner"):
            assert correlation.current() == "inner"
        assert correlation.current() == "outer"
    assert correlation.current() == ""


def test_a_traceparent_is_parsed():
    parsed = correlation.parse_traceparent(f"00-{'a' * 32}-{'b' * 16}-01")
    assert parsed == correlation.Traceparent("a" * 32, "b" * 16, sampled=True)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "00",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-more",
    ],
)
def test_an_invalid_traceparent_is_ignored(value):
    assert correlation.parse_traceparent(value) is None


def test_a_later_version_may_be_longer():
    assert correlation.parse_traceparent(f"01-{'a' * 32}-{'b' * 16}-00-more")
