"""Delivers committed events to subscribers: at least once, in order, each at its pace.

A durable subscriber's cursor lies in the same file as the events, so that a restart
goes on where it stopped. A live subscriber (a stream) begins at the newest event and
leaves no trace. One slow or failing subscriber never holds up another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Conflict, CortexError, NotFound, Unavailable
from cortex.storage import outbox
from cortex.storage.outbox import DeadLetter, Failure, Journal, Retention, Row
from cortex.storage.sqlite import Connection, Database

T = TypeVar("T")

BATCH_EVENTS_MAX = 256
"""Events read and acknowledged at once: one cursor commit for so many deliveries."""

TRIES_MAX = 5
"""Deliveries of one event before it becomes a dead letter."""

RETRY_SECONDS = 0.1
"""Pause before the second try; it doubles with each further one."""

UNAVAILABLE_SECONDS_MAX = 30.0
"""Longest pause before an unavailable subscriber is asked again."""

WAITS_DOUBLED = 16
"""Pauses that double; by then the longest is reached."""

POLL_SECONDS = 1.0
"""Seconds until a commit of another process is noticed; own commits wake at once."""

KEPT_SECONDS = 24 * 3600.0
"""Seconds that delivered events stay, for streams that resume by id."""

KEPT_EVENTS_MAX = 50_000
"""Delivered events that stay at most: about 20 MB."""

PRUNE_SECONDS = 60.0
"""Seconds between prunings."""

PRUNE_ROWS_MAX = 1_000
"""Rows deleted in one transaction, so that pruning delays no writer noticeably."""

Handler = Callable[[T], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How hard to try and how much to keep; see the constants above."""

    tries_max: int = TRIES_MAX
    retry_seconds: float = RETRY_SECONDS
    poll_seconds: float = POLL_SECONDS
    kept_seconds: float = KEPT_SECONDS
    kept_events_max: int = KEPT_EVENTS_MAX
    prune_seconds: float = PRUNE_SECONDS


@dataclass(slots=True)
class _Subscriber(Generic[T]):
    name: str
    handler: Handler[T]
    types: frozenset[str] | None
    durable: bool
    together: int = 1
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    position: int | None = None
    saved: int = 0

    async def may_try_again(self, clock: Clock, seconds: float) -> bool:
        """Wait until the next try; false, at once, when there will be none."""
        async with asyncio.TaskGroup() as group:
            waiting = {
                group.create_task(clock.sleep(seconds)),
                group.create_task(self.ended.wait()),
            }
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()
        return not self.ended.is_set()


class Relay(Generic[T]):
    """Reads the outbox of one database and calls handlers.

    Several processes may relay the same file. Each durable subscriber is then called
    in each of them, so the rule "at least once" shows: handlers go by the event's id.
    """

    def __init__(
        self,
        database: Database,
        decode: Callable[[bytes], T],
        *,
        clock: Clock,
        options: RelayOptions | None = None,
    ) -> None:
        """Relay the events of ``database``; ``decode`` undoes ``Fact.to_json``."""
        self.journal = Journal(database, decode)
        self._database = database
        self._decode = decode
        self._clock = clock
        self._options = options or RelayOptions()
        self._subscribers: dict[str, _Subscriber[T]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._progress = asyncio.Condition()
        self._woken = False

    def subscribe(
        self,
        name: str,
        handler: Handler[T],
        *,
        types: Collection[str] | None = None,
        durable: bool = True,
        together: int = 1,
    ) -> None:
        """Call ``handler`` with each event, or each of the given types.

        Args:
            name: of the cursor; keep it over releases.
            handler: must tolerate the same event twice; raising asks for a retry.
            types: event names; None means all.
            durable: keep a cursor in the file, and begin with the oldest event kept;
                else begin with the next event and forget all at the end.
            together: events offered at once, begun in order; for handlers that are
                faster in company, such as those that share a commit.

        Raises:
            Conflict: the name is taken.
        """
        if name in self._subscribers:
            raise Conflict(f"the outbox has a subscriber named {name!r} already")
        wanted = None if types is None else frozenset(types)
        subscriber = _Subscriber(name, handler, wanted, durable, together)
        self._subscribers[name] = subscriber
        if self._tasks is not None:
            self._tasks.create_task(self._serve(subscriber), name=f"relay-{name}")

    def unsubscribe(self, name: str) -> None:
        """Stop calling a subscriber; its cursor stays for the next time."""
        subscriber = self._subscribers.pop(name, None)
        if subscriber is not None:
            subscriber.wake.set()
            subscriber.ended.set()

    async def run(self) -> None:
        """Deliver until ``stop``; the caller's task group owns this."""
        loop = asyncio.get_running_loop()
        self._stopping.clear()
        self._woken = False
        undo = self._database.on_commit(lambda: self._notify(loop))
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for known in tuple(self._subscribers.values()):
                    known.ended.clear()
                    tasks.create_task(self._serve(known), name=f"relay-{known.name}")
                polling = tasks.create_task(self._poll(), name="relay-poll")
                await self._stopping.wait()
                polling.cancel()
                self._wake_all()
        finally:
            self._tasks = None
            undo()

    async def stop(self) -> None:
        """Let each subscriber finish the event at hand, then end ``run``.

        An event that waits for its next try is not waited for: the cursor stays before
        it, and the next run offers it again.
        """
        self._stopping.set()
        for known in self._subscribers.values():
            known.ended.set()

    async def caught_up(self) -> None:
        """Return when every subscriber has dealt with all events committed so far."""
        last = await self.journal.last_position()
        async with self._progress:
            await self._progress.wait_for(
                lambda: all(
                    known.position is not None and known.position >= last
                    for known in self._subscribers.values()
                )
            )

    async def lag(self) -> dict[str, int]:
        """Return how many positions each subscriber is behind, by name."""
        last = await self.journal.last_position()
        return {
            known.name: last - min(known.position or 0, last)
            for known in self._subscribers.values()
        }

    async def retry(self, subscriber: str, event_id: str) -> None:
        """Offer a dead letter to its subscriber once more, out of order.

        Raises:
            NotFound: no such dead letter, or no such subscriber.
            Exception: whatever the handler raised; the letter stays.
        """
        letter: DeadLetter[T] | None
        letter = await self.journal.dead_letter(subscriber, event_id)
        known = self._subscribers.get(subscriber)
        if letter is None or known is None:
            raise NotFound(
                "no such dead letter, or its subscriber is not running",
                subscriber=subscriber,
                event_id=event_id,
            )
        await known.handler(letter.event)

        def unit(connection: Connection) -> None:
            outbox.exhume(connection, subscriber, event_id)

        await self._database.write(unit)

    async def redeliver(self, letter: DeadLetter[T]) -> str:
        """Offer a dead letter once more; return why it stays, or an empty text.

        A letter that stays counts the try and keeps the newest reason.
        """
        known = self._subscribers.get(letter.subscriber)
        if known is None:
            return "its subscriber is not running"
        if not await self.journal.dead_letter(letter.subscriber, letter.event_id):
            return ""  # another retry was faster
        try:
            await self.retry(letter.subscriber, letter.event_id)
        except Exception as error:  # noqa: BLE001 - worker loop: kept as dead letter
            reason = f"{type(error).__name__}: {error}"
        else:
            return ""
        failure = Failure(letter.subscriber, reason, 1, self._clock.now())
        await self._database.write(
            lambda c: outbox.bury_again(c, letter.event_id, failure)
        )
        return reason

    async def prune(self) -> int:
        """Delete delivered events past their retention; return how many."""
        durable = [s for s in self._subscribers.values() if s.durable]
        if any(s.position is None for s in durable):
            return 0
        last = await self.journal.last_position()
        delivered = min((s.position or 0 for s in durable), default=last)
        before = self._clock.now() - self._options.kept_seconds
        retention = Retention(before, self._options.kept_events_max)

        def unit(connection: Connection) -> int:
            return outbox.prune(
                connection,
                delivered=delivered,
                retention=retention,
                limit=PRUNE_ROWS_MAX,
            )

        total = 0
        while True:
            pruned = await self._database.write(unit)
            total += pruned
            if pruned < PRUNE_ROWS_MAX:
                return total

    def _notify(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake the loop from the writer thread, once for many commits."""
        if self._woken:
            return
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._wake_all)
        except RuntimeError:
            # The loop closed while a last group was committed: nobody listens.
            return

    def _wake_all(self) -> None:
        self._woken = False
        for known in self._subscribers.values():
            known.wake.set()

    async def _poll(self) -> None:
        pruned_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._options.poll_seconds)
            self._wake_all()
            if self._clock.monotonic() - pruned_at >= self._options.prune_seconds:
                pruned_at = self._clock.monotonic()
                try:
                    await self.prune()
                except CortexError:
                    # A full disk or a busy file: the next round tries again.
                    continue

    def _is_served(self, known: _Subscriber[T]) -> bool:
        subscribed = self._subscribers.get(known.name) is known
        return subscribed and not self._stopping.is_set()

    async def _serve(self, known: _Subscriber[T]) -> None:
        while self._is_served(known):
            known.wake.clear()
            try:
                if known.position is None:
                    await self._begin(known)
                busy = await self._deliver_batch(known)
            except CortexError:
                # The file cannot be read or written now; what was delivered stays
                # delivered in memory, and the next wake tries again.
                busy = False
            if not busy and self._is_served(known):
                await known.wake.wait()

    async def _begin(self, known: _Subscriber[T]) -> None:
        if known.durable:
            known.saved = await self._database.read(
                lambda c: outbox.cursor_of(c, known.name)
            )
            known.position = known.saved
        else:
            known.position = await self.journal.last_position()
        await self._tell_progress()

    async def _deliver_batch(self, known: _Subscriber[T]) -> bool:
        """Deliver what is there; false when there was nothing."""
        start = known.position or 0
        rows = await self._database.read(
            lambda c: outbox.read_after(c, start, BATCH_EVENTS_MAX)
        )
        for at in range(0, len(rows), known.together):
            if not self._is_served(known):
                break
            chunk = rows[at : at + known.together]
            wanted = (r for r in chunk if known.types is None or r.type in known.types)
            await asyncio.gather(*(self._deliver(known, row) for row in wanted))
            if not self._is_served(known):
                break  # some were given up; all of the chunk is offered again
            known.position = chunk[-1].position
        await self._save(known)
        return bool(rows)

    async def _save(self, known: _Subscriber[T]) -> None:
        position = known.position or 0
        if position > known.saved:
            if known.durable:
                await self._database.write(
                    lambda c: outbox.advance(c, known.name, position)
                )
            known.saved = position
            await self._tell_progress()

    async def _deliver(self, known: _Subscriber[T], row: Row) -> None:
        """Offer one event until it is taken, or bury it.

        A subscriber that is unavailable is waited for: its events are not at fault.
        """
        tries = waits = 0
        while True:
            try:
                await known.handler(self._decode(row.body))
            except Unavailable:
                waits += 1
                pause = self._options.retry_seconds * 2 ** min(waits, WAITS_DOUBLED)
                pause = min(pause, UNAVAILABLE_SECONDS_MAX)
                if not await known.may_try_again(self._clock, pause):
                    return
                continue
            except Exception as error:  # noqa: BLE001 - worker loop: kept as dead letter
                reason = f"{type(error).__name__}: {error}"
            else:
                return
            tries += 1
            if tries >= self._options.tries_max:
                break
            pause = self._options.retry_seconds * 2 ** (tries - 1)
            if not await known.may_try_again(self._clock, pause):
                return
        failure = Failure(known.name, reason, tries, self._clock.now())
        await self._database.write(lambda c: outbox.bury(c, row, failure))

    async def _tell_progress(self) -> None:
        async with self._progress:
            self._progress.notify_all()
