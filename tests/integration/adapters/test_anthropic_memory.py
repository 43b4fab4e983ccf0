"""Anthropic's tool runner and its own file-system tool beside the one on Cortex."""

import asyncio
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.lib.tools import ToolError
from anthropic.tools.memory import BetaLocalFilesystemMemoryTool
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_client import CortexClientSync
from cortex_client.integrations.anthropic import (
    AsyncCortexMemoryTool,
    CortexMemoryTool,
)


@pytest.fixture
def tool(server_url, namespace):
    tool = CortexMemoryTool(server_url, namespace=namespace)
    yield tool
    tool.close()


def command(name, **fields):
    return {"command": name, **fields}


def told(tool, given):
    """Return what the model reads, sizes of folders and refusals' words aside."""
    try:
        answer = tool.call(given)
    except ToolError as refusal:
        return re.sub(r"/\S*?(?=/memories)", "", str(refusal))
    return re.sub(r"^\S+(?=\t.*?/?$)", "SIZE", answer, flags=re.MULTILINE)


SCRIPT = [
    command("view", path="/memories"),
    command("create", path="/memories/a.txt", file_text="one\ntwo\nthree\n"),
    command("create", path="/memories/a.txt", file_text="again"),
    command("create", path="/memories/deep/er/b.md", file_text="☕ 'q'\r\nlast"),
    command("create", path="/memories/deep/c.md", file_text=""),
    command("create", path="/memories/.hidden", file_text="x"),
    command("view", path="/memories"),
    command("view", path="/memories/deep"),
    command("view", path="/memories/a.txt"),
    command("view", path="/memories/a.txt", view_range=[2, 3]),
    command("view", path="/memories/a.txt", view_range=[2, -1]),
    command("view", path="/memories/deep/c.md"),
    command("view", path="/memories/none"),
    command("str_replace", path="/memories/a.txt", old_str="two", new_str="TWO"),
    command("str_replace", path="/memories/a.txt", old_str="e", new_str="E"),
    command("str_replace", path="/memories/a.txt", old_str="absent", new_str=""),
    command("str_replace", path="/memories/none", old_str="x", new_str="y"),
    command("str_replace", path="/memories/deep", old_str="x", new_str="y"),
    command("insert", path="/memories/a.txt", insert_line=0, insert_text="zero\n"),
    command("insert", path="/memories/a.txt", insert_line=4, insert_text="four"),
    command("insert", path="/memories/a.txt", insert_line=9, insert_text="nine"),
    command("insert", path="/memories/deep/c.md", insert_line=0, insert_text="first"),
    command("insert", path="/memories/none", insert_line=0, insert_text="x"),
    command("view", path="/memories/a.txt"),
    command("view", path="/memories/deep/c.md"),
    command("rename", old_path="/memories/a.txt", new_path="/memories/new/a.txt"),
    command("rename", old_path="/memories/none", new_path="/memories/x"),
    command("rename", old_path="/memories/deep", new_path="/memories/new"),
    command("rename", old_path="/memories/deep", new_path="/memories/moved"),
    command("view", path="/memories/moved/er/b.md"),
    command("delete", path="/memories/moved/er/b.md"),
    command("delete", path="/memories/none"),
    command("delete", path="/memories"),
    command("rename", old_path="/memories", new_path="/memories/x"),
    command("delete", path="/memories/new"),
    command("view", path="/memories/new"),
    command("view", path="/memories/moved/c.md"),
]


def test_it_answers_as_anthropics_own_tool_does(tool, tmp_path):
    own = BetaLocalFilesystemMemoryTool(str(tmp_path))
    assert tool.to_dict() == own.to_dict()
    for given_command in SCRIPT:
        assert told(tool, given_command) == told(own, given_command), given_command


ESCAPES = [
    "/etc/passwd", "memories/a", "", "/", "/memoriesX/a", "/memories/../etc/passwd",
    "/memories/a/../../b", "/memories/..", "/memories/./../x", "/memories\\..\\x",
    "/memories/a\\..\\..\\x", "/memories/a\0b", "/memories/" + "x" * 2_000,
    "C:\\memories\\a", "//memories/../a", "/memories/\u202ea",
]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        command("view"),
        command("create", file_text="x"),
        command("str_replace", old_str="a", new_str="b"),
        command("insert", insert_line=0, insert_text="x"),
        command("delete"),
    ],
    ids=lambda given: given["command"],
)
def test_no_path_leaves_the_memories(tool, given):
    for path in ESCAPES:
        with pytest.raises(ToolError):
            tool.call({**given, "path": path})


def test_no_rename_leaves_the_memories(tool):
    tool.call(command("create", path="/memories/a", file_text="x"))
    for path in ESCAPES:
        for old, new in (("/memories/a", path), (path, "/memories/b")):
            with pytest.raises(ToolError):
                tool.call(command("rename", old_path=old, new_path=new))
    assert "\tx" in tool.call(command("view", path="/memories/a"))


def test_names_that_a_file_system_would_decode_are_names(tool):
    path = "/memories/%2e%2e%2fetc/~root/$HOME"
    tool.call(command("create", path=path, file_text="kept"))
    assert "kept" in tool.call(command("view", path=path))
    assert "%2e%2e%2fetc/" in tool.call(command("view", path="/memories"))


def test_a_file_is_no_folder_and_a_folder_moves_not_into_itself(tool):
    tool.call(command("create", path="/memories/a/b", file_text="x"))
    for refused in (
        command("create", path="/memories/a/b/c", file_text="x"),
        command("create", path="/memories/a", file_text="x"),
        command("rename", old_path="/memories/a", new_path="/memories/a/c"),
    ):
        with pytest.raises(ToolError):
            tool.call(refused)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=10)
@given(texts)
@example("")
@example(" \t\n")
def test_every_text_comes_back_as_it_was(server_url, text):
    tool = CortexMemoryTool(server_url, namespace="texts")
    tool.clear_all_memory()
    tool.call(command("create", path="/memories/a", file_text=text))
    with CortexClientSync(server_url) as client:
        (memory,) = client.list_memories(namespace="texts").memories
    assert memory.content == (text if text.strip() else "/memories/a")
    shown = tool.call(command("view", path="/memories/a")).split("\n")[1:]
    assert "\n".join(shown) == "\n".join(
        f"{number:>6}\t{line}" for number, line in enumerate(text.split("\n"), 1)
    )
    tool.close()


def test_a_text_too_long_is_told_to_the_model(tool):
    with pytest.raises(ToolError, match="500000"):
        tool.call(command("create", path="/memories/a", file_text="x" * 600_000))


def test_users_are_apart_and_files_are_found_by_meaning(server_url, namespace):
    ana = CortexMemoryTool(server_url, namespace=f"{namespace}/ana", user_id="ana")
    bob = CortexMemoryTool(server_url, namespace=f"{namespace}/bob", user_id="bob")
    ana.call(command("create", path="/memories/likes.md", file_text="Ana likes tea."))
    assert "likes" not in bob.call(command("view", path="/memories"))
    with CortexClientSync(server_url) as client:
        hit = client.recall("tea", namespace=f"{namespace}/ana").hits[0]
    assert (hit.content, hit.user_id, hit.metadata["path"]) == (
        "Ana likes tea.", "ana", "/memories/likes.md",
    )  # fmt: skip
    assert ana.clear_all_memory() == "All memory cleared"
    assert "likes" not in ana.call(command("view", path="/memories"))
    ana.close()
    bob.close()


class Model(BaseHTTPRequestHandler):
    """Anthropic's API as far as a tool loop needs it: the answers are scripted."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        turn = len(self.server.seen) - 1
        steps = [
            command("create", path="/memories/a.md", file_text="tea"),
            command("view", path="/memories/a.md"),
            command("view", path="/memories/../secret"),
        ]
        if turn < len(steps):
            content = {
                "type": "tool_use",
                "id": f"t{turn}",
                "name": "memory",
                "input": steps[turn],
            }
        else:
            content = {"type": "text", "text": "Noted."}
        answer = json.dumps(
            {
                "id": f"m{turn}", "type": "message", "role": "assistant", "model": "x",
                "content": [content], "stop_sequence": None,
                "stop_reason": "tool_use" if turn < len(steps) else "end_turn",
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def model():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


ASKED = {
    "model": "claude-x",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Remember that I like tea."}],
}


def results(model):
    """Return what was told of each command, as the model was sent it."""
    parts = [
        part for body in model.seen[1:] for part in body["messages"][-1]["content"]
    ]
    return [(part["content"], part.get("is_error", False)) for part in parts]


def test_anthropics_tool_runner_uses_it(tool, model):
    url = f"http://127.0.0.1:{model.server_address[1]}"
    with Anthropic(base_url=url, api_key="k") as client:
        runner = client.beta.messages.tool_runner(tools=[tool], **ASKED)
        assert runner.until_done().content[0].text == "Noted."
    assert model.seen[0]["tools"] == [{"type": "memory_20250818", "name": "memory"}]
    (made, _), (seen, _), (refused, is_error) = results(model)
    assert "created successfully" in str(made)
    assert "1\\ttea" in json.dumps(seen)
    assert is_error
    assert "escape" in str(refused)


async def test_the_asynchronous_tool_is_the_same(server_url, namespace, model):
    url = f"http://127.0.0.1:{model.server_address[1]}"
    tool = AsyncCortexMemoryTool(server_url, namespace=namespace)
    async with AsyncAnthropic(base_url=url, api_key="k") as client:
        runner = client.beta.messages.tool_runner(tools=[tool], **ASKED)
        assert (await runner.until_done()).content[0].text == "Noted."
    assert len(results(model)) == 3
    own = CortexMemoryTool(server_url, namespace=f"{namespace}-sync")
    await tool.clear_all_memory()
    for given_command in SCRIPT:
        try:
            answer = await tool.call(given_command)
        except ToolError as refusal:
            answer = str(refusal)
        try:
            expected = await asyncio.to_thread(own.call, given_command)
        except ToolError as refusal:
            expected = str(refusal)
        assert answer == expected
    own.close()
    assert await tool.clear_all_memory() == "All memory cleared"
    await tool.aclose()
