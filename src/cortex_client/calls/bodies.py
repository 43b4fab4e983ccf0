"""Request bodies: what the caller did not say is not sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from cortex_client.wire import NewMemory, OptimizeItem

Item = str | NewMemory | Mapping[str, object]


def compact(values: Mapping[str, object]) -> dict[str, object]:
    """Return ``values`` without the ones that are None."""
    return {name: value for name, value in values.items() if value is not None}


def memory_item(item: Item) -> dict[str, object]:
    """Return one item of a ``remember`` body."""
    if isinstance(item, str):
        return {"content": item}
    if isinstance(item, NewMemory):
        return {
            name: value
            for name, value in asdict(item).items()
            if value not in (None, "", (), {}) or name == "content"
        }
    return dict(item)


def memory_items(
    items: Item | Iterable[Item], fields: Mapping[str, object]
) -> list[dict[str, object]]:
    """Return the items of a body; ``fields`` are given to each that lacks them."""
    single = isinstance(items, str | NewMemory | Mapping)
    many: Iterable[Item] = [items] if single else items  # type: ignore[list-item,assignment]
    return [{**compact(fields), **memory_item(item)} for item in many]


def optimize_items(
    items: Sequence[OptimizeItem | Mapping[str, object]],
) -> list[dict[str, object]]:
    """Return the items of an ``optimize_context`` body."""
    return [
        asdict(item) if isinstance(item, OptimizeItem) else dict(item) for item in items
    ]
