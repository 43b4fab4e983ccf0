"""Signs of an attack at the doors, and how long its source has to wait.

The decision is a pure function of what is remembered of a client (``judge``); ``Watch``
remembers, within bounds. A client that is refused too often is told to wait, twice as
long each time. Waiting concerns credentials that have to be looked up only: a known
good token is let in also from an address that others misuse, so nobody can lock out a
neighbour behind the same gateway.

Refusals are reported in digests and all signals through one bucket, so that whoever
floods the doors cannot flood the ledger.
"""

import ipaddress
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from enum import StrEnum

from cortex.foundation.bucket import Buckets, Rate
from cortex.foundation.bucket import judge as judge_rate
from cortex.foundation.clock import Clock

CLIENTS_MAX = 10_000
"""Clients remembered: at about 500 bytes each, 5 MB; the longest quiet goes first."""

SIGNALS_PENDING_MAX = 1_000
"""Signals that wait to be written; more are counted and told as one."""

ALERTS_MAX = 200
"""Signs kept to be shown; events and the ledger have them all."""

DENIALS = Rate(20, 60.0)
"""Refusals of one client that are still a mistake: a script with a stale token."""

SPRAYED_EVERYWHERE = Rate(1_000, 60.0)
"""Unknown tokens from all clients together that are still noise."""

REQUESTS = Rate(2_000, 1.0)
"""Requests of one holder; faster than this a single server cannot answer."""

SIGNALS = Rate(200, 60.0)
"""Signals of all kinds that are written one by one."""

EVERYONE = "*"
"""Stands for the client where a signal is about all of them together."""

_BITS = 64
_ADDRESS_CHARACTERS_MAX = 64
_IPV6_HOST_BITS = 64
_DOUBLINGS_MAX = 60


class Reason(StrEnum):
    """Why someone was refused."""

    NO_TOKEN = "no_token"  # noqa: S105 - a reason, not a token
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a reason, not a token
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a reason, not a token
    UNKNOWN_CERTIFICATE = "unknown_certificate"
    NOT_ALLOWED = "not_allowed"


class SignalType(StrEnum):
    """Names of the events that signals become."""

    DENIED = "security.access_denied"
    REPEATED = "security.denials_repeated"
    SPRAYED = "security.tokens_sprayed"
    IMPOSSIBLE_RATE = "security.rate_impossible"
    TAMPERING = "security.tampering_found"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """When something is a sign, and what follows.

    Attributes:
        denials: refusals of one client that are still a mistake; more are a sign.
        sprayed_tokens: different unknown tokens from one client that are a sign; at
            most 40, as they are counted in 64 bits.
        sprayed_everywhere: unknown tokens from all clients that are still noise.
        requests: of one holder; faster than this no honest client is.
        wait_first_seconds: first wait; doubles with each further sign.
        wait_max_seconds: longest wait.
        quiet_seconds: without a refusal, after which a client's past is forgotten;
            also the time between two signals of one kind about one client.
        digest_seconds: how often a client's refusals are told, as a number.
        signals: of all kinds that are written; more are told as one number.
    """

    denials: Rate = DENIALS
    sprayed_tokens: int = 10
    sprayed_everywhere: Rate = SPRAYED_EVERYWHERE
    requests: Rate = REQUESTS
    wait_first_seconds: float = 1.0
    wait_max_seconds: float = 300.0
    quiet_seconds: float = 600.0
    digest_seconds: float = 60.0
    signals: Rate = SIGNALS
    clients_max: int = CLIENTS_MAX


@dataclass(frozen=True, slots=True)
class Denial:
    """One refusal.

    Attributes:
        token_hash: any hash of the token that was tried; 0 for none.
    """

    reason: Reason
    token_hash: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that people or the ledger should know.

    Attributes:
        client: an address, a holder's name, or ``*``; for tampering, the target.
        count: how many refusals, tokens or requests.
        value: seconds the client now has to wait, where it has to; for tampering
            the index of the first bad entry.
    """

    type: SignalType
    client: str
    reason: str
    count: int = 1
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A sign and when it was seen, epoch seconds."""

    at: float
    signal: Signal


@dataclass(frozen=True, slots=True)
class Suspect:
    """All that is remembered of one client; times are monotonic seconds.

    Attributes:
        arrival: GCRA state of its refusals.
        tried: one bit for each unknown token, by hash, since ``tried_since``.
        strikes: signs in a row; the wait doubles with each.
        waits_until: before this, nothing is looked up for it.
        untold: refusals that no digest has told yet.
    """

    arrival: float | None = None
    tried: int = 0
    tried_since: float = 0.0
    strikes: int = 0
    waits_until: float = float("-inf")
    seen_at: float = 0.0
    untold: int = 0
    told_at: float = float("-inf")
    sprayed_told_at: float = float("-inf")


def judge(
    suspect: Suspect | None, denial: Denial, now: float, options: WatchOptions
) -> tuple[Suspect, tuple[tuple[SignalType, int], ...]]:
    """Return what is remembered after a refusal, and the signs it completes.

    Args:
        suspect: what was remembered before; None for a new client.
        denial: the refusal.
        now: monotonic seconds.
        options: what counts as a sign.
    """
    before = _remembered(suspect, now, options)
    verdict = judge_rate(options.denials, before.arrival, now)
    tried, tried_since = _tried(before, denial, now, options)
    different = tried.bit_count()
    is_spray = different >= options.sprayed_tokens
    spray_is_news = is_spray and (now - before.sprayed_told_at >= options.quiet_seconds)
    untold = before.untold + 1
    digest_is_due = now - before.told_at >= options.digest_seconds
    strikes = before.strikes + (not verdict.allowed) + spray_is_news
    after = Suspect(
        arrival=verdict.arrival,
        tried=0 if is_spray else tried,
        tried_since=now if is_spray else tried_since,
        strikes=strikes,
        waits_until=_waits_until(before, strikes, now, options),
        seen_at=now,
        untold=0 if digest_is_due else untold,
        told_at=now if digest_is_due else before.told_at,
        sprayed_told_at=now if spray_is_news else before.sprayed_told_at,
    )
    signs = (
        (SignalType.REPEATED, options.denials.requests, not verdict.allowed),
        (SignalType.SPRAYED, different, spray_is_news),
        (SignalType.DENIED, untold, digest_is_due),
    )
    return after, tuple((kind, count) for kind, count, is_so in signs if is_so)


def _remembered(suspect: Suspect | None, now: float, options: WatchOptions) -> Suspect:
    """Return the past that still counts: none after a quiet time."""
    if suspect is None:
        return Suspect(tried_since=now)
    if now - suspect.seen_at >= options.quiet_seconds:
        return Suspect(tried_since=now, untold=suspect.untold, told_at=suspect.told_at)
    return suspect


def _tried(
    before: Suspect, denial: Denial, now: float, options: WatchOptions
) -> tuple[int, float]:
    if denial.reason is not Reason.UNKNOWN_TOKEN:
        return before.tried, before.tried_since
    bit = 1 << denial.token_hash % _BITS
    if now - before.tried_since >= options.denials.period_seconds:
        return bit, now
    return before.tried | bit, before.tried_since


def _waits_until(
    before: Suspect, strikes: int, now: float, options: WatchOptions
) -> float:
    """Make the client wait for a new strike, twice as long as for the last."""
    if strikes == before.strikes:
        return before.waits_until
    doublings = min(strikes - 1, _DOUBLINGS_MAX)
    wait = min(options.wait_first_seconds * 2.0**doublings, options.wait_max_seconds)
    return max(before.waits_until, now + wait)


class Watch:
    """Remembers clients and collects signals; for one event loop.

    It writes nothing: ``take`` hands the signals to whoever does.
    """

    def __init__(self, clock: Clock, options: WatchOptions | None = None) -> None:
        """Start with a clean slate."""
        self._clock = clock
        self._options = options or WatchOptions()
        self._suspects: OrderedDict[str, Suspect] = OrderedDict()
        self._signals: deque[Signal] = deque()
        self._alerts: deque[Alert] = deque(maxlen=ALERTS_MAX)
        self._unsent: dict[SignalType, int] = {}
        self._arrivals: dict[bool, float | None] = {}
        self._everywhere_arrival: float | None = None
        self._everywhere_told_at = float("-inf")
        self._rates = Buckets(self._options.clients_max)
        self._rates_told = Buckets(self._options.clients_max)

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._suspects)

    def waits(self, address: str) -> bool:
        """Tell whether a client has to wait; counts nothing."""
        if not self._suspects:
            return False
        suspect = self._suspects.get(client_of(address))
        return suspect is not None and suspect.waits_until > self._clock.monotonic()

    def hold(self, address: str) -> float:
        """Return how long a client has to wait before anything is looked up for it.

        A client that comes too early is counted among the refused.
        """
        if not self._suspects:
            return 0.0
        client = client_of(address)
        suspect = self._suspects.get(client)
        now = self._clock.monotonic()
        if suspect is None or suspect.waits_until <= now:
            return 0.0
        self._suspects[client] = replace(
            suspect, untold=suspect.untold + 1, seen_at=now
        )
        return suspect.waits_until - now

    def denied(self, address: str, reason: Reason, token: bytes = b"") -> None:
        """Note a refusal; ``token`` is a digest of what was tried."""
        now = self._clock.monotonic()
        client = client_of(address)
        denial = Denial(reason, int.from_bytes(token[:8], "big"))
        before = self._suspects.get(client)
        after, signs = judge(before, denial, now, self._options)
        self._suspects[client] = after
        self._suspects.move_to_end(client)
        waits = after.waits_until - now
        for kind, count in signs:
            value = waits if waits > 0 and kind is not SignalType.DENIED else None
            self._add(Signal(kind, client, reason, count, value), now)
        if reason is Reason.UNKNOWN_TOKEN:
            self._count_everywhere(now)
        if len(self._suspects) > self._options.clients_max:
            _, gone = self._suspects.popitem(last=False)
            self._leave_out(SignalType.DENIED, gone.untold)

    def accepted(self, subject: str) -> None:
        """Note a request of a known holder, to see rates nobody honest has."""
        now = self._clock.monotonic()
        options = self._options
        verdict = self._rates.take(subject, "requests", options.requests, now)
        if verdict.allowed:
            return
        once = Rate(1, options.quiet_seconds)
        if self._rates_told.take(subject, "told", once, now).allowed:
            per_period = options.requests.requests
            self._add(
                Signal(SignalType.IMPOSSIBLE_RATE, subject, "too_fast", per_period), now
            )

    def tampering(self, target: str, reason: str, index: int | None = None) -> None:
        """Note what a verifier found; never held back."""
        value = None if index is None else float(index)
        signal = Signal(SignalType.TAMPERING, target, reason, 1, value)
        self._signals.append(signal)
        self._alerts.append(Alert(self._clock.now(), signal))

    def alerts(self) -> list[Alert]:
        """Return the newest signs, newest first; refusals alone are none."""
        return list(reversed(self._alerts))

    def waiting(self) -> int:
        """Return how many clients have to wait now."""
        now = self._clock.monotonic()
        return sum(one.waits_until > now for one in self._suspects.values())

    def take(self) -> list[Signal]:
        """Return the signals since the last call, and begin anew."""
        now = self._clock.monotonic()
        for client, suspect in self._overdue(now):
            self._suspects[client] = replace(suspect, untold=0, told_at=now)
            self._add(Signal(SignalType.DENIED, client, "digest", suspect.untold), now)
        found = list(self._signals)
        self._signals.clear()
        found += [
            Signal(kind, EVERYONE, "digest", count)
            for kind, count in self._unsent.items()
        ]
        self._unsent.clear()
        return found

    def _overdue(self, now: float) -> list[tuple[str, Suspect]]:
        age = self._options.digest_seconds
        return [
            (client, suspect)
            for client, suspect in self._suspects.items()
            if suspect.untold and now - suspect.told_at >= age
        ]

    def _count_everywhere(self, now: float) -> None:
        rate = self._options.sprayed_everywhere
        verdict = judge_rate(rate, self._everywhere_arrival, now)
        self._everywhere_arrival = verdict.arrival
        since = now - self._everywhere_told_at
        if not verdict.allowed and since >= self._options.quiet_seconds:
            self._everywhere_told_at = now
            self._add(
                Signal(
                    SignalType.SPRAYED,
                    EVERYONE,
                    Reason.UNKNOWN_TOKEN,
                    rate.requests,
                ),
                now,
            )

    def _add(self, signal: Signal, now: float) -> None:
        """Keep a signal if its bucket has room; else only its number.

        Digests have a bucket of their own: they must not crowd out the signs.
        """
        is_digest = signal.type is SignalType.DENIED
        if not is_digest:
            self._alerts.append(Alert(self._clock.now(), signal))
        arrival = self._arrivals.get(is_digest)
        verdict = judge_rate(self._options.signals, arrival, now)
        full = len(self._signals) >= SIGNALS_PENDING_MAX
        if full or not verdict.allowed:
            self._leave_out(signal.type, signal.count if is_digest else 1)
            return
        self._arrivals[is_digest] = verdict.arrival
        self._signals.append(signal)

    def _leave_out(self, kind: SignalType, count: int) -> None:
        if count:
            self._unsent[kind] = self._unsent.get(kind, 0) + count


def client_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 /64 network.

    Whoever has one IPv6 address usually has the 2**64 around it (RFC 6177).
    """
    if ":" not in address:
        return address[:_ADDRESS_CHARACTERS_MAX]
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address[:_ADDRESS_CHARACTERS_MAX]
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    network = int(parsed) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS
    return f"{ipaddress.IPv6Address(network)}/64"
