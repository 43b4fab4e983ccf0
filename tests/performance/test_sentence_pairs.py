"""The reading and the arithmetic of the benchmark of sentence pairs."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
ORIGINAL = (
    'main-captions\tMSRvid\t2012test\t0000\t5.000\tA man is "here".\tOne is.\n'
    "main-news\tMSRpar\t2012test\t0001\t0.25\ta\tb\tlicence\tsource\n"
)


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the benchmark, which is imported from the project's folder."""
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module("benchmarks.inference.sts")


def test_the_original_files_are_read_by_their_columns(
    sts: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "sts-test.csv").write_text(ORIGINAL)
    (tmp_path / "notes.tsv").write_text("not\tread")
    assert sts.read(tmp_path) == [
        sts.Pair(5.0, 'A man is "here".', "One is.", "sts-test"),
        sts.Pair(0.25, "a", "b", "sts-test"),
    ]


def test_plain_files_are_read_and_what_nobody_judged_is_left_out(
    sts: ModuleType,
    tmp_path: Path,
) -> None:
    (tmp_path / "b.tsv").write_text("3.5\tx\ty \r\n\n\tnot\tjudged\n")
    (tmp_path / "a.tsv").write_text("0\tp\tq")
    assert sts.read(tmp_path) == [
        sts.Pair(0.0, "p", "q", "a"),
        sts.Pair(3.5, "x", "y", "b"),
    ]
    (tmp_path / "c.tsv").write_text("1\tx\ty\nx\ty\t2\n")
    with pytest.raises(SystemExit, match=r"c\.tsv:2"):
        sts.read(tmp_path)


def test_rank_correlation_shares_the_ranks_of_equal_values(
    sts: ModuleType,
) -> None:
    assert list(sts.ranks(np.array([3.0, 1.0, 3.0, 2.0]))) == [3.5, 1, 3.5, 2]
    order = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert sts.spearman(order, order**3) == pytest.approx(1)
    assert sts.spearman(order, -order) == pytest.approx(-1)
    # Without ties: 1 - 6 * sum of squared differences / (n * (n * n - 1)).
    assert sts.spearman(order, np.array([2.0, 1.0, 4.0, 3.0, 5.0])) == pytest.approx(
        0.8
    )


def test_the_interval_holds_what_was_lost(
    sts: ModuleType,
) -> None:
    rng = np.random.default_rng(1)
    gold = rng.random(200)
    whole, small = gold + rng.normal(0, 0.1, 200), gold + rng.normal(0, 0.4, 200)
    low, high = sts.interval(gold, whole, small)
    lost = sts.spearman(gold, whole) - sts.spearman(gold, small)
    assert 0 < low < lost < high
    assert sts.interval(gold, whole, whole) == (0, 0)


def test_without_data_it_says_what_to_name(
    sts: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    monkeypatch.delenv("CORTEX_STS", raising=False)
    assert sts.main()
    assert "--sts FOLDER" in capsys.readouterr().err
