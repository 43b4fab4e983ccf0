"""The one door: who calls, and whether it may call that often."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from cortex.foundation.bucket import Rate, Rates, Verdict
from cortex.foundation.clock import Clock
from cortex.foundation.errors import (
    Overloaded,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
)
from cortex.foundation.sharing import FairShare
from cortex.foundation.tenancy import DEFAULT_TENANT, Namespace, Principal
from cortex.security.authorization import Authorization
from cortex.security.doors import Credentials, Doors
from cortex.security.scopes import Scope
from cortex.service.http.actions import verb_of
from cortex.service.http.client_certificates import certificate_of
from cortex.service.http.options import HttpOptions
from cortex.service.http.record import record_of, route_of
from cortex.usecases.model import CallContext

DEFAULT_GROUP = "default"

BUSY_RETRY_SECONDS = 1.0
"""Wait told to a tenant that has its part: most requests take far less."""

EVENT_STREAM = "/events/stream"
"""The one route that takes its token from the query as well."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An admitted caller with the context of this call."""

    principal: Principal
    context: CallContext
    authorization: Authorization
    verb: str
    address: str = ""

    def require(self, scope: Scope) -> None:
        """Return if the caller may do this with what has no namespace.

        Raises:
            PermissionDenied: it lacks the scope, or the policy says no.
        """
        self._ask(scope, None)

    def require_operator(self, scope: Scope, why: str) -> None:
        """Return if the caller may do this with what belongs to all tenants.

        Args:
            scope: what is needed besides.
            why: what this is, for people, such as "settings are those of all tenants".

        Raises:
            PermissionDenied: as ``require``, or the caller is of another tenant than
                the operator's.
        """
        self.require(scope)
        if self.principal.tenant != DEFAULT_TENANT:
            raise PermissionDenied(
                why, hint=f"Use a token of the tenant {DEFAULT_TENANT!r} with {scope}."
            )

    def namespace(self, scope: Scope, name: str | None) -> Namespace:
        """Return the namespace if the caller may do this in it.

        Raises:
            PermissionDenied: it lacks the scope, may not use the namespace, or the
                policy says no.
        """
        self.principal.require(scope)
        found = self.principal.namespace(name)
        self._ask(scope, found.name)
        return found

    def _ask(self, scope: Scope, namespace: str | None) -> None:
        self.authorization.require(
            self.principal,
            f"{scope}.{self.verb}",
            namespace=namespace,
            attributes={"client.address": self.address} if self.address else {},
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """How often clients may call.

    Attributes:
        rates: charges them.
        rate: the rate in force for routes that have none of their own.
    """

    rates: Rates
    rate: Callable[[], Rate]


class Door:
    """Authenticates, then charges the caller's bucket.

    Only callers that are known buy a bucket: a flood of made-up tokens costs a hash
    each and no memory.
    """

    def __init__(
        self,
        doors: Doors,
        authorization: Authorization,
        limits: Limits,
        clock: Clock,
        options: HttpOptions,
    ) -> None:
        """Take the ways in, the policy and the limits."""
        self._doors = doors
        self._authorization = authorization
        self._rates = limits.rates
        self._rate = limits.rate
        self._clock = clock
        self._options = options
        self._share = FairShare(options.served_at_once)

    async def admit(self, request: Request) -> Caller:
        """Return the caller.

        Raises:
            Unauthenticated: no usable token.
            PermissionDenied: an open server was asked under a foreign host name.
            RateLimited: too many requests of this client.
            Overloaded: its tenant has its fair part of the server already.
        """
        token = _token(request)
        if token is None and self._doors.open:
            self._check_host(request.headers.get("host", ""))
        principal = await self._doors.authenticate(_credentials(request, token))
        record = record_of(request.scope)
        record.subject, record.tenant = principal.subject, principal.tenant
        client = _client(request, principal)
        await self._charge(client, route_of(request.scope), record.headers)
        if route_of(request.scope) != EVENT_STREAM:
            record.leave = self._enter(principal.tenant)
        context = CallContext(
            record.correlation_id,
            principal.subject,
            record.traceparent,
            principal.scopes,
        )
        route = route_of(request.scope)
        return Caller(
            principal,
            context,
            self._authorization,
            verb_of(request.method, route),
            "" if request.client is None else request.client.host,
        )

    async def still_admits(self, request: Request) -> bool:
        """Tell whether an admitted caller would be let in now; charges nothing."""
        return await self._doors.still_good(_credentials(request, _token(request)))

    async def charge(self, request: Request, principal: Principal, route: str) -> None:
        """Take one request for another route from the caller's share of that.

        Raises:
            RateLimited: nothing is left of it.
        """
        await self._charge(_client(request, principal), route, [])

    def check_origin(self, request: Request) -> None:
        """Refuse a foreign web page that asks an open server (MCP requires it).

        Raises:
            PermissionDenied: the request has the origin of another host.
        """
        origin = request.headers.get("origin")
        if origin is not None and self._doors.open:
            self._check_host(origin.partition("://")[2])

    def _check_host(self, host: str) -> None:
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] or name
        if self._options.trusted_hosts and name not in self._options.trusted_hosts:
            raise PermissionDenied(
                "this server has no tokens and answers to local names only",
                hint="Call it as 127.0.0.1 or localhost, or set CORTEX_TOKENS.",
            )

    def _enter(self, tenant: str) -> Callable[[], None]:
        """Take one of the places that tenants share; return what gives it back."""
        if not self._share.enter(tenant):
            raise Overloaded(
                f"{self._share.total} of {self._share.limit} requests are in work, and "
                "this tenant has its part of them",
                hint="Send fewer requests at the same time.",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )
        return partial(self._share.leave, tenant)

    async def _charge(
        self, client: str, route: str, headers: list[tuple[bytes, bytes]]
    ) -> None:
        rate = self._options.route_rates.get(route)
        group = DEFAULT_GROUP if rate is None else route
        rate = rate or self._rate()
        verdict = await self._rates.take(client, group, rate)
        reset = self._clock.now() + verdict.reset_seconds
        headers.extend(_rate_headers(group, rate, verdict, reset))
        if not verdict.allowed:
            raise RateLimited(
                f"more than {rate.requests} requests in {rate.period_seconds:g} s",
                hint="Wait as long as Retry-After says.",
                retry_after_seconds=verdict.retry_after_seconds,
                endpoint=route,
                limit=rate.requests,
            )


def _client(request: Request, principal: Principal) -> str:
    """Return whose bucket is charged: a subject's, or a host's without a token."""
    if "authorization" not in request.headers and request.client is not None:
        return f"@{request.client.host}"
    return f"{principal.tenant}/{principal.subject}"


def _token(request: Request) -> str | None:
    token = bearer_token(request.headers.get("authorization"))
    if token is None and route_of(request.scope) == EVENT_STREAM:
        # Browsers cannot send headers with an EventSource.
        return request.query_params.get("token")
    return token


def bearer_token(header: str | None) -> str | None:
    """Return the token of an Authorization header; None when there is no header.

    Raises:
        Unauthenticated: the header is not ``Bearer TOKEN``.
    """
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(
            "the Authorization header is not 'Bearer TOKEN'",
            hint="Name a token, or leave the header out where none is needed.",
        )
    return token


async def resolve_caller(request: Request) -> Caller:
    """Return the admitted caller: the one dependency of every closed route."""
    return await _door(request).admit(request)


async def is_still_admitted(request: Request) -> bool:
    """Tell whether the caller of a request that lasts would be let in now."""
    return await _door(request).still_admits(request)


def _door(request: Request) -> Door:
    return cast("Door", request.app.state.door)


Admitted = Annotated[Caller, Depends(resolve_caller)]


def _credentials(request: Request, token: str | None) -> Credentials:
    address = "" if request.client is None else request.client.host
    return Credentials(token, address, certificate_of(request.scope))


def _rate_headers(
    group: str, rate: Rate, verdict: Verdict, reset_at: float
) -> list[tuple[bytes, bytes]]:
    """Return the IETF draft's two headers and the three everybody knows.

    See draft-ietf-httpapi-ratelimit-headers-10; ``X-RateLimit-Reset`` is epoch
    seconds, as most clients of the older form expect.
    """
    reset = math.ceil(verdict.reset_seconds)
    headers = {
        "ratelimit-policy": f'"{group}";q={rate.requests};w={rate.period_seconds:g}',
        "ratelimit": f'"{group}";r={verdict.remaining};t={reset}',
        "x-ratelimit-limit": str(rate.requests),
        "x-ratelimit-remaining": str(verdict.remaining),
        "x-ratelimit-reset": str(math.ceil(reset_at)),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()]
