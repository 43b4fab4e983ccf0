"""Write the reference pages that code already knows: settings and events.

Usage: python tools/write_reference.py [--check]   (--check: exit 1 when one is stale)
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, SecretStr

from cortex.bus.registry import EVENT_TYPES
from cortex.foundation.canonical import JsonValue
from cortex.settings import PREFIX, Settings

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def settings_page() -> str:
    """Return the page of all settings."""
    lines = [
        "# Settings",
        "",
        (
            "Layers, the later wins: defaults, `cortex.toml` (or the file "
            "`CORTEX_CONFIG` names), the environment, the folder `CORTEX_SECRETS_DIR` "
            "names (one file a value), command-line flags, and what was set while the "
            "server runs ([how](../how-to/configure.md)). Nested names take `__` in "
            "the environment. `cortex config show` prints every value with its "
            "source, secrets masked."
        ),
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    lines.extend(_settings_rows(Settings, PREFIX))
    return "\n".join(lines) + "\n"


def _settings_rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(default, BaseModel):
            yield from _settings_rows(type(default), f"{prefix}{name.upper()}__")
            continue
        shown = (
            default.get_secret_value() if isinstance(default, SecretStr) else default
        )
        if isinstance(shown, bool):
            shown = str(shown).lower()
        text = "" if shown in (None, "") or shown == {} else f"`{shown}`"
        yield f"| `{prefix}{name.upper()}` | {text} | {field.description} |"


def events_page() -> str:
    """Return the page of all events."""
    lines = [
        "# Events",
        "",
        (
            "Every event is a CloudEvents 1.0 envelope. Its data holds ids, counts and "
            "hashes, never content. Nothing emits a name that is not in this table."
        ),
        "",
        "| type | data |",
        "|---|---|",
    ]
    for name, schema in sorted(EVENT_TYPES.items()):
        lines.append(f"| `{name}` | {_members(schema)} |")
    return "\n".join(lines) + "\n"


def _members(schema: Mapping[str, JsonValue]) -> str:
    members, required = schema.get("properties"), schema.get("required")
    if not isinstance(members, Mapping):
        return ""
    needed = set(required) if isinstance(required, Sequence) else set()
    return ", ".join(f"`{m}`{'' if m in needed else '?'}" for m in sorted(members))


PAGES = {"settings.md": settings_page, "events.md": events_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or check that they are as they would be written."""
    stale = []
    for name, page in PAGES.items():
        path = REFERENCE / name
        text = page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"stale: {', '.join(stale)}; run: python tools/write_reference.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
