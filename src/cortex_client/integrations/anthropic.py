"""Anthropic's memory tool on Cortex: Claude's ``/memories`` files, kept by the server.

::

    client = Anthropic()
    runner = client.beta.messages.tool_runner(
        model=..., max_tokens=1024, betas=["context-management-2025-06-27"],
        messages=[{"role": "user", "content": "Remember that I like coffee."}],
        tools=[CortexMemoryTool()],
    )

Each file is one memory, so that what Claude wrote down is also found by ``recall``. One
namespace is one ``/memories``: give each user a namespace of their own.
"""

from typing import Any, TypedDict, Unpack

from cortex_client.calls import memory
from cortex_client.errors import NotFoundError, RequestError
from cortex_client.integrations import memory_files as files
from cortex_client.integrations.link import Link, Manner, Script, missing
from cortex_client.wire import Forgotten, Memory, MemoryPage, Remembered

try:
    from anthropic.lib.tools import (
        BetaAbstractMemoryTool,
        BetaAsyncAbstractMemoryTool,
        ToolError,
    )
    from anthropic.types.beta import (
        BetaCacheControlEphemeralParam,
        BetaMemoryTool20250818CreateCommand,
        BetaMemoryTool20250818DeleteCommand,
        BetaMemoryTool20250818InsertCommand,
        BetaMemoryTool20250818RenameCommand,
        BetaMemoryTool20250818StrReplaceCommand,
        BetaMemoryTool20250818ViewCommand,
    )
except ImportError as error:
    raise missing("anthropic", "anthropic", error) from None

PAGE_MAX = 500
"""Files of one page of a listing."""

_KIND = "file"
_CLEARED = "All memory cleared"


class Kept(Manner, total=False):
    """Where the files are kept, and how the tool is announced."""

    namespace: str
    user_id: str | None
    cache_control: BetaCacheControlEphemeralParam | None


class CortexMemoryTool(BetaAbstractMemoryTool):
    """The memory tool for ``Anthropic``; usable from threads."""

    def __init__(self, base_url: str | None = None, **kept: Unpack[Kept]) -> None:
        """Settle where the server is; nothing is opened before the first command."""
        super().__init__(cache_control=kept.pop("cache_control", None))
        self._files = _Files(**_place(kept))
        self._link = Link(base_url, _manner(kept))

    def close(self) -> None:
        """Close the connections; what is kept stays."""
        self._link.close()

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """Show a file, or what a folder holds."""
        return self._run(self._files.view(command.path, command.view_range))

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Write a new file."""
        return self._run(self._files.create(command.path, command.file_text))

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that a file holds once."""
        return self._run(
            self._files.str_replace(command.path, command.old_str, command.new_str)
        )

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Write a text after a line of a file."""
        return self._run(
            self._files.insert(command.path, command.insert_line, command.insert_text)
        )

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Forget a file, or all of a folder."""
        return self._run(self._files.delete(command.path))

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Give a file or a folder another path."""
        return self._run(self._files.rename(command.old_path, command.new_path))

    def clear_all_memory(self) -> str:
        """Forget all files."""
        return self._run(self._files.clear())

    def _run(self, script: Script[str]) -> str:
        try:
            return self._link.run(script)
        except (files.FileProblem, RequestError) as problem:
            raise ToolError(str(problem)) from problem


class AsyncCortexMemoryTool(BetaAsyncAbstractMemoryTool):
    """The memory tool for ``AsyncAnthropic``."""

    def __init__(self, base_url: str | None = None, **kept: Unpack[Kept]) -> None:
        """Settle where the server is; nothing is opened before the first command."""
        super().__init__(cache_control=kept.pop("cache_control", None))
        self._files = _Files(**_place(kept))
        self._link = Link(base_url, _manner(kept))

    async def aclose(self) -> None:
        """Close the connections; what is kept stays."""
        await self._link.aclose()

    async def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """Show a file, or what a folder holds."""
        return await self._run(self._files.view(command.path, command.view_range))

    async def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Write a new file."""
        return await self._run(self._files.create(command.path, command.file_text))

    async def str_replace(
        self, command: BetaMemoryTool20250818StrReplaceCommand
    ) -> str:
        """Replace a text that a file holds once."""
        return await self._run(
            self._files.str_replace(command.path, command.old_str, command.new_str)
        )

    async def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Write a text after a line of a file."""
        return await self._run(
            self._files.insert(command.path, command.insert_line, command.insert_text)
        )

    async def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Forget a file, or all of a folder."""
        return await self._run(self._files.delete(command.path))

    async def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Give a file or a folder another path."""
        return await self._run(self._files.rename(command.old_path, command.new_path))

    async def clear_all_memory(self) -> str:
        """Forget all files."""
        return await self._run(self._files.clear())

    async def _run(self, script: Script[str]) -> str:
        try:
            return await self._link.arun(script)
        except (files.FileProblem, RequestError) as problem:
            raise ToolError(str(problem)) from problem


class _Place(TypedDict):
    namespace: str
    user_id: str | None


def _place(kept: Kept) -> _Place:
    return _Place(
        namespace=kept.pop("namespace", "anthropic-memory"),
        user_id=kept.pop("user_id", None),
    )


def _manner(kept: Kept) -> Manner:
    return kept  # what is left of it


class _Files:
    """The commands as scripts; what they return is for the model to read."""

    def __init__(self, namespace: str, user_id: str | None) -> None:
        self._place: Any = {"namespace": namespace}
        self._whose: dict[str, Any] = {} if user_id is None else {"user_id": user_id}

    def view(self, path: str, view_range: list[int] | None) -> Script[str]:
        path = files.checked(path)
        found = yield from self._file(path)
        if found is not None:
            return files.view(path, _text(found), view_range)
        inside = yield from self._inside(path)
        if not inside and path != files.ROOT:
            raise _absent(path)
        sizes = {name: len(_text(one).encode()) for name, one in inside.items()}
        return files.listing(path, sizes)

    def create(self, path: str, text: str) -> Script[str]:
        path = files.checked(path)
        if path == files.ROOT or (yield from self._inside(path)):
            raise files.FileProblem(f"File {path} already exists")
        for folder in files.parents(path):
            if (yield from self._file(folder)) is not None:
                raise files.FileProblem(f"{folder} is a file, not a directory")
        if not (yield from self._write(path, text)):
            raise files.FileProblem(f"File {path} already exists")
        return f"File created successfully at: {path}"

    def str_replace(self, path: str, old: str, new: str) -> Script[str]:
        path = files.checked(path)
        found = yield from self._existing(path)
        text, told = files.replaced(path, _text(found), old, new)
        yield from self._change(found, path, text)
        return told

    def insert(self, path: str, line: int, new: str) -> Script[str]:
        path = files.checked(path)
        found = yield from self._existing(path)
        yield from self._change(found, path, files.inserted(_text(found), line, new))
        return f"The file {path} has been edited."

    def delete(self, path: str) -> Script[str]:
        path = files.checked(path)
        if path == files.ROOT:
            raise files.FileProblem(f"Cannot delete the {path} directory itself")
        gone: Forgotten = yield memory.forget(
            idempotency_key=files.key_of(path), **self._place
        )
        inside = {} if gone.ids else (yield from self._inside(path))
        if not gone.ids and not inside:
            raise files.FileProblem(f"The path {path} does not exist")
        for one in inside.values():
            yield from self._forget(one)
        return f"Successfully deleted {path}"

    def rename(self, old: str, new: str) -> Script[str]:
        old, new = files.checked(old), files.checked(new)
        if old == files.ROOT:
            raise files.FileProblem(f"Cannot rename the {old} directory itself")
        if files.is_under(new, old):
            raise files.FileProblem(f"Cannot move {old} into itself")
        there = yield from self._file(new)
        if there is not None or (yield from self._inside(new)):
            raise files.FileProblem(f"The destination {new} already exists")
        found = yield from self._file(old)
        moved = {old: found} if found is not None else (yield from self._inside(old))
        if not moved:
            raise files.FileProblem(f"The path {old} does not exist")
        for path, one in moved.items():
            yield from self._write(new + path.removeprefix(old), _text(one))
            yield from self._forget(one)
        return f"Successfully renamed {old} to {new}"

    def clear(self) -> Script[str]:
        yield memory.forget(kind=_KIND, **self._place)
        return _CLEARED

    def _file(self, path: str) -> Script[Memory | None]:
        page: MemoryPage = yield memory.list_memories(
            idempotency_key=files.key_of(path), limit=1, **self._place
        )
        return page.memories[0] if page.memories else None

    def _existing(self, path: str) -> Script[Memory]:
        found = yield from self._file(path)
        if found is None and (path == files.ROOT or (yield from self._inside(path))):
            raise files.FileProblem(f"The path {path} is not a file.")
        if found is None:
            raise _absent(path)
        return found

    def _inside(self, folder: str) -> Script[dict[str, Memory]]:
        found: dict[str, Memory] = {}
        cursor: str | None = None
        while True:
            page: MemoryPage = yield memory.list_memories(
                kind=_KIND, limit=PAGE_MAX, cursor=cursor, **self._place
            )
            named = ((str(one.metadata.get("path")), one) for one in page.memories)
            found |= {path: one for path, one in named if files.is_under(path, folder)}
            cursor = page.next_cursor
            if cursor is None:
                return found

    def _write(self, path: str, text: str) -> Script[bool]:
        item = {
            **_body(path, text),
            **self._whose,
            "kind": _KIND,
            "source_kind": "agent",
            "idempotency_key": files.key_of(path),
        }
        stored: Remembered = yield memory.remember(item, **self._place)
        return stored.items[0].created

    def _change(self, found: Memory, path: str, text: str) -> Script[None]:
        changes: Any = _body(path, text)
        try:
            yield memory.update_memory(found.id, **changes, **self._place)
        except NotFoundError as error:
            raise _absent(path) from error

    def _forget(self, one: Memory) -> Script[None]:
        try:
            yield memory.forget(one.id, **self._place)
        except NotFoundError:
            return  # it went meanwhile


def _body(path: str, text: str) -> dict[str, Any]:
    if text.strip():
        return {"content": text, "metadata": {"path": path}}
    # A memory always says something; a file need not.
    return {"content": path, "metadata": {"path": path, "blank": text}}


def _text(found: Memory) -> str:
    blank = found.metadata.get("blank")
    return blank if isinstance(blank, str) else found.content


def _absent(path: str) -> files.FileProblem:
    message = f"The path {path} does not exist. Please provide a valid path."
    return files.FileProblem(message)
