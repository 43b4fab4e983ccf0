"""The examples of the page run as they are written and print what it says."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "integrations.md"
EXAMPLES = re.findall(
    r"^## ([^\n]+)\n+```python\n(.*?)^```\n+```text\n(.*?)^```",
    PAGE.read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


def test_each_framework_has_an_example():
    text = PAGE.read_text(encoding="utf-8")
    assert len(EXAMPLES) == text.count("```python") == 8
    modules = set(re.findall(r"from cortex_client.integrations.(\w+)", text))
    folder = Path(__file__).parents[3] / "src/cortex_client/integrations"
    inside = {path.stem for path in folder.glob("*.py")}
    shared = {
        "__init__",
        "kept",
        "link",
        "transcript",
        "langgraph_items",
        "memory_files",
    }
    assert modules == inside - shared


@pytest.mark.parametrize(
    ("code", "printed"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES]
)
def test_an_example_prints_what_it_says(server_url, monkeypatch, capsys, code, printed):
    monkeypatch.setenv("CORTEX_URL", server_url)
    monkeypatch.delenv("USE_CORTEX", raising=False)
    exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        line.rstrip() for line in printed.splitlines()
    ]
