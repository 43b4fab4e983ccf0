"""Which loaded models make room for another; pure.

The least recently used model goes first. A model that is in use or that was pinned
never goes, so a request never loses its model half-way.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """A loaded model as the choice sees it.

    Attributes:
        name: its registry name.
        memory_bytes: what it costs while it is loaded.
        users: calls that use it now.
        used_at: monotonic time of its last use, seconds.
        pinned: whether it stays until the end.
    """

    name: str
    memory_bytes: int
    users: int
    used_at: float
    pinned: bool = False

    @property
    def can_go(self) -> bool:
        """Return whether nobody would miss it now."""
        return not self.users and not self.pinned


def make_room(
    held: Sequence[Held], wanted_bytes: int, budget_bytes: int
) -> tuple[str, ...] | None:
    """Return the models to let go of, least recently used first, and no more of them.

    Args:
        held: every loaded model, those being loaded included as in use.
        wanted_bytes: cost of the model to be loaded.
        budget_bytes: what all loaded models may cost together.

    Returns:
        None when even the idle ones would not make enough room.
    """
    over = sum(model.memory_bytes for model in held) + wanted_bytes - budget_bytes
    going: list[str] = []
    idle = sorted(
        (model for model in held if model.can_go), key=lambda m: (m.used_at, m.name)
    )
    for model in idle:
        if over <= 0:
            break
        going.append(model.name)
        over -= model.memory_bytes
    return tuple(going) if over <= 0 else None
