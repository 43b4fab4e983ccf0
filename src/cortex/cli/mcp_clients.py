"""Where usual clients keep their servers, and how they want them written."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Launch:
    """How a client starts ``cortex mcp``."""

    program: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    def process(self) -> dict[str, object]:
        """Return the form nearly all clients share."""
        entry: dict[str, object] = {
            "command": self.program,
            "args": list(self.arguments),
        }
        return entry | ({"env": dict(self.environment)} if self.environment else {})


@dataclass(frozen=True, slots=True)
class ClientKind:
    """One client.

    Attributes:
        title: its name, for people.
        place: the file its configuration is in.
        shape: makes what belongs into that file.
    """

    title: str
    place: str
    shape: Callable[[Launch], dict[str, object]]


def _servers(launch: Launch) -> dict[str, object]:
    return {"mcpServers": {"cortex": launch.process()}}


def _vscode(launch: Launch) -> dict[str, object]:
    return {"servers": {"cortex": {"type": "stdio", **launch.process()}}}


def _zed(launch: Launch) -> dict[str, object]:
    return {"context_servers": {"cortex": {"source": "custom", **launch.process()}}}


CLIENTS: Mapping[str, ClientKind] = MappingProxyType(
    {
        "claude-desktop": ClientKind(
            "Claude Desktop",
            "claude_desktop_config.json (Settings > Developer > Edit Config)",
            _servers,
        ),
        "claude-code": ClientKind(
            "Claude Code", ".mcp.json in the project's folder", _servers
        ),
        "cursor": ClientKind(
            "Cursor", "~/.cursor/mcp.json, or .cursor/mcp.json in a project", _servers
        ),
        "vscode": ClientKind("VS Code", ".vscode/mcp.json in a workspace", _vscode),
        "windsurf": ClientKind(
            "Windsurf", "~/.codeium/windsurf/mcp_config.json", _servers
        ),
        "zed": ClientKind("Zed", "settings.json (zed: open settings)", _zed),
        "generic": ClientKind(
            "Any other client", "its list of stdio servers", _servers
        ),
    }
)


def printed(names: Sequence[str], launch: Launch) -> str:
    """Return one client's JSON alone, or all of them with their places."""
    if len(names) == 1:
        return json.dumps(CLIENTS[names[0]].shape(launch), indent=2)
    parts = []
    for name in names:
        kind = CLIENTS[name]
        shown = json.dumps(kind.shape(launch), indent=2)
        parts.append(f"# {kind.title} ({name}): {kind.place}\n{shown}")
    return "\n\n".join(parts)
