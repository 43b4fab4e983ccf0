"""Bounded waiting: who may begin, who waits in line, and who is told to come back.

Requests beyond those that are worked on at once wait, each tenant's oldest first and
tenants in turn (fair queueing, RFC 8290). What decides is the time they waited, not
their number: a line that empties is a burst, and nobody of it is refused. A line
*stands* when everyone who left it during an interval had waited longer than a target
(CoDel: Nichols and Jacobson 2012, RFC 8289). From then on nobody joins who would wait
longer than that at the pace of the last second (PIE, RFC 8033), until nobody had to be
refused for a while. As with CoDel a short line never stands, however slow it is: those
in it each wait for their answer before they ask again.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

_PACE_SECONDS = 0.5
"""The pace is counted over the last one to two of these."""

_QUEUES_MAX = 1_000
"""Tenants whose lines are remembered while nobody waits in them."""


class Refusal(Enum):
    """Why somebody does not get in."""

    STANDING = "standing"
    FULL = "full"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class LineOptions:
    """Bounds of one line.

    Attributes:
        places: worked on at once, at most. Enough that writes share their syncs and
            calls of remote models overlap.
        places_min: worked on at once however late the loop is.
        late_seconds: how late the event loop may come: beyond it there are fewer
            places, well below it more. More at once would only make all slower.
        target_seconds: wait that is as it should be.
        interval_seconds: how long all waits may be longer before the line stands.
        calm_seconds: time without a refusal after which it no longer stands.
        burst: waiting ones that are always let join, however slow, while there are
            all places; with them room for a hundred clients who each wait for their
            answer. Places that are taken away wait in line as well.
        wait_seconds_max: longest wait of all; who waited so long is refused.
        waiting_max: waiting ones there may be; each may hold 64 KB of body.
        hold_seconds_max: time after which somebody's place is given on: what takes so
            long waits for something else.
    """

    places: int = 64
    places_min: int = 16
    late_seconds: float = 0.1
    target_seconds: float = 0.25
    interval_seconds: float = 0.5
    calm_seconds: float = 2.0
    burst: int = 48
    wait_seconds_max: float = 4.0
    waiting_max: int = 1_024
    hold_seconds_max: float = 5.0


def _unheard() -> None:
    """Be called where nobody waits for it."""


@dataclass(slots=True, eq=False)
class Ticket:
    """Somebody in line or in work.

    Attributes:
        who: the tenant.
        arrived: seconds on the caller's clock.
        began: when it began; None while it waits.
        refused: why its turn does not come, if it was sent away from the line.
        called: called when its turn comes, or not any more; must not raise.
    """

    who: str
    arrived: float
    began: float | None = None
    refused: Refusal | None = None
    called: Callable[[], object] = _unheard


@dataclass(slots=True)
class _Queue:
    """Those of one tenant who wait, oldest first."""

    tickets: deque[Ticket] = field(default_factory=deque)
    above_since: float | None = None
    stands_until: float = 0.0


class _Pace:
    """How many leave in a second, lately."""

    __slots__ = ("_before", "_count", "_since")

    def __init__(self) -> None:
        self._since = self._before = 0.0
        self._count = 0

    def count(self, now: float) -> None:
        """Count one that leaves."""
        self._turn(now)
        self._count += 1

    def read(self, now: float) -> float:
        """Return leavings a second: of this part, and of the one before in part."""
        self._turn(now)
        part = min(1.0, (now - self._since) / _PACE_SECONDS)
        return (self._before * (1 - part) + self._count) / _PACE_SECONDS

    def _turn(self, now: float) -> None:
        passed = (now - self._since) // _PACE_SECONDS
        if passed >= 1:
            self._before = self._count if passed == 1 else 0
            self._since += passed * _PACE_SECONDS
            self._count = 0


class Line:
    """Places and a line before them; for one event loop. Times are the caller's.

    Attributes:
        name: of the line, for people.
        places: how many may work at once now.
        waiting: how many wait.
        wait_seconds_max: the longest wait; its caller calls ``forsake`` then.
    """

    def __init__(self, name: str, options: LineOptions) -> None:
        """Begin with all places free."""
        self.name = name
        self._options = options
        self.places = options.places
        self.wait_seconds_max = options.wait_seconds_max
        self.waiting = 0
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        self._working: OrderedDict[int, Ticket] = OrderedDict()
        self._pace = _Pace()
        self._active = 0

    @property
    def working(self) -> int:
        """Return how many hold a place."""
        return len(self._working)

    def feel(self, late_seconds: float) -> None:
        """Hear how late the event loop came: half the places, or a few more (AIMD)."""
        options = self._options
        if late_seconds > options.late_seconds:
            self.places = max(options.places_min, self.places // 2)
        elif late_seconds < options.late_seconds / 2:
            self.places = min(options.places, self.places + options.places_min)

    def stands(self, now: float) -> bool:
        """Return whether somebody was refused, or would be, a moment ago."""
        return any(now < queue.stands_until for queue in self._queues.values())

    def arrive(self, who: str, now: float) -> Ticket | Refusal:
        """Let one more in, or into the line.

        The ticket has begun when it may go on at once; else its ``called``, which the
        caller sets, is called when it may.
        """
        self._give_on(now)
        ticket = Ticket(who, now)
        if not self.waiting and len(self._working) < self.places:
            self._begin(ticket, now)
            return ticket
        queue = self._queue(who, now)
        refusal = self._refusal(queue, now)
        if refusal is not None:
            return refusal
        self._active += not queue.tickets
        queue.tickets.append(ticket)
        self.waiting += 1
        self.settle(now)
        return ticket

    def pause(self, ticket: Ticket) -> None:
        """Free the place while the client is waited for; ``settle`` hands it out."""
        self._working.pop(id(ticket), None)

    def resume(self, ticket: Ticket) -> None:
        """Go on after a pause: at once, though more than all may work then."""
        self._working[id(ticket)] = ticket

    def leave(self, ticket: Ticket, now: float) -> None:
        """End what had begun."""
        self._working.pop(id(ticket), None)
        self._pace.count(now)
        self.settle(now)

    def forsake(self, ticket: Ticket) -> bool:
        """Take one out of the line; false when it had begun already."""
        queue = self._queues.get(ticket.who)
        if ticket.began is not None or queue is None or ticket not in queue.tickets:
            return False
        queue.tickets.remove(ticket)
        self.waiting -= 1
        self._active -= not queue.tickets
        return True

    def settle(self, now: float) -> None:
        """Give free places to those who wait, tenants in turn."""
        while self.waiting and len(self._working) < self.places:
            self._begin(self._next(now), now)

    def _begin(self, ticket: Ticket, now: float) -> None:
        ticket.began = now
        self._working[id(ticket)] = ticket
        ticket.called()

    def _next(self, now: float) -> Ticket:
        """Take the oldest of the tenant whose turn it is."""
        while True:
            who, queue = next(iter(self._queues.items()))
            self._queues.move_to_end(who)
            if queue.tickets:
                break
        ticket = queue.tickets.popleft()
        self.waiting -= 1
        self._judge(queue, now - ticket.arrived, now)
        self._active -= not queue.tickets
        return ticket

    def _judge(self, queue: _Queue, waited: float, now: float) -> None:
        """Note whether a line stands, by what the one who leaves it waited."""
        options = self._options
        if waited <= options.target_seconds or len(queue.tickets) < self._burst():
            queue.above_since = None
        elif queue.above_since is None:
            queue.above_since = now
        elif now - queue.above_since >= options.interval_seconds:
            self._stand(queue, now)

    def _stand(self, queue: _Queue, now: float) -> None:
        """Take in few from now on; of those who wait, the last would wait too long."""
        options = self._options
        stood = now < queue.stands_until
        queue.stands_until = now + options.calm_seconds
        if stood:
            return
        seconds = options.target_seconds + options.interval_seconds
        kept = max(self._burst(), int(seconds * self._pace_of_each(now)))
        while len(queue.tickets) > kept:
            ticket = queue.tickets.pop()
            self.waiting -= 1
            ticket.refused = Refusal.STANDING
            ticket.called()

    def _pace_of_each(self, now: float) -> float:
        return self._pace.read(now) / max(1, self._active)

    def _refusal(self, queue: _Queue, now: float) -> Refusal | None:
        """Return why one more may not join; None lets it."""
        options, mine = self._options, len(queue.tickets)
        if mine < self._burst():
            return None
        part = options.waiting_max // max(1, self._active)
        if self.waiting >= options.waiting_max and mine >= part:
            return Refusal.FULL
        waits = now - queue.tickets[0].arrived if mine else 0.0
        if waits >= options.target_seconds + options.interval_seconds:
            self._stand(queue, now)
        if now >= queue.stands_until:
            return None
        most = self._pace_of_each(now) * options.target_seconds
        if mine < most and waits < options.target_seconds:
            return None
        self._stand(queue, now)
        return Refusal.STANDING

    def _burst(self) -> int:
        """Return a tenant's part of those who are always let join."""
        all_of_them = self._options.burst + self._options.places - self.places
        return max(1, all_of_them // max(1, self._active))

    def _queue(self, who: str, now: float) -> _Queue:
        queue = self._queues.get(who)
        if queue is None:
            queue = self._queues[who] = _Queue()
            self._forget(now)
        return queue

    def _forget(self, now: float) -> None:
        """Drop lines in which nobody waits, and which say nothing any more."""
        if len(self._queues) <= _QUEUES_MAX:
            return
        for who, queue in list(self._queues.items())[:-1]:
            if not queue.tickets and now >= queue.stands_until:
                del self._queues[who]

    def _give_on(self, now: float) -> None:
        """Take the places of those who have held them for too long."""
        if len(self._working) < self.places:
            return
        bound = now - self._options.hold_seconds_max
        for key, ticket in list(self._working.items()):
            if ticket.began is None or ticket.began > bound:
                break
            del self._working[key]
        self.settle(now)
