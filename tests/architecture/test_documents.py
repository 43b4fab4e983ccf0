"""The documents say what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_reference_pages_are_as_the_code_would_write_them() -> None:
    finished = subprocess.run(
        [sys.executable, "tools/write_reference.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_feature_has_one_row_and_a_true_state() -> None:
    rows = re.findall(
        r"^\| (F\d{3}) \| .+ \| (done|part|not yet) \| (.*) ?\|$",
        (ROOT / "docs" / "FEATURES.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == [f"F{n:03}" for n in range(1, 306)]
    unshown = [
        name for name, state, shown in rows if state != "not yet" and not shown.strip()
    ]
    assert unshown == []


def test_what_shows_a_feature_exists() -> None:
    text = (ROOT / "docs" / "FEATURES.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:tests|benchmarks|docs|deploy|tools)/[\w./-]+)", text))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    targets = re.findall(
        r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8")
    )
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_make_targets_named_in_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))
        assert set(named) <= targets, page
