"""The examples of the pages on embeddings and MCP run as they are written."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.security.scopes import Scope
from cortex.service.mcp import tools

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
MEDIA = Path(__file__).parents[1] / "data" / "media"
TOKEN = "page-token-0123456789"


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(serve, tmp_path):
    tokens = {"page": {"token": TOKEN, "scopes": ["inference", "memory"]}}
    server = serve(CORTEX_TOKENS=json.dumps(tokens))

    def run(*command: str, code: str) -> str:
        finished = subprocess.run(
            [*command, code.replace("http://127.0.0.1:4949", server.url)],
            env={
                **os.environ,
                "CORTEX_URL": server.url,
                "CORTEX_TOKEN": TOKEN,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run


def with_token(curl: str) -> str:
    """Add what the page says to add where a server has tokens."""
    return curl.replace("curl ", 'curl -H "Authorization: Bearer $CORTEX_TOKEN" ')


def test_the_embedding_examples_run(run):
    texts, _ = blocks("embeddings.md", "python")
    assert run(sys.executable, "-c", code=texts) == "2 384 17\n"
    curl, _, _ = blocks("embeddings.md", "bash")
    answer = json.loads(run("bash", "-c", code=with_token(curl)))
    assert len(answer["embedding"]) == 384


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="install ffmpeg")
def test_the_examples_with_files_run(run, tmp_path):
    for name, kept in (("cat", "chelsea.jpg"), ("holiday", "coffee.jpg")):
        shutil.copy(MEDIA / kept, tmp_path / f"{name}.jpg")
    shutil.copy(MEDIA / "leisure.mp3", tmp_path / "meeting.mp3")
    _, files = blocks("embeddings.md", "python")
    assert "cat" in run(sys.executable, "-c", code=files)
    _, _, curl = blocks("embeddings.md", "bash")
    answer = json.loads(run("bash", "-c", code=with_token(curl)))
    assert (answer["modality"], answer["method"]) == ("IMAGE", "conse")


def test_the_mcp_examples_run(run):
    (python,) = blocks("mcp.md", "python")
    assert run(sys.executable, "-c", code=python) == "Ana drinks her coffee black.\n"
    (shell,) = blocks("mcp.md", "bash")
    assert run("bash", "-ec", code=shell).count("mcpServers") == 6


def test_every_tool_is_on_the_page():
    folder = Path(inspect.getfile(tools)).parent
    code = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    names = set(re.findall(r'Tool\(\s+"([a-z.]+)"', code))
    table = [r for r in (PAGES / "mcp.md").read_text().splitlines() if r[:1] == "|"]
    shown = {n for row in table[2:] for n in re.findall(r"`([a-z.]+)`", row[:60])}
    scopes = {scope.value for scope in Scope}
    assert names == {name for name in shown if name not in scopes}
