"""health.status and audit.verify."""

from typing import Annotated, Any

from pydantic import Field

from cortex.security.scopes import Scope
from cortex.service.fields import Wire
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.tool import Answer, Tool
from cortex.usecases.catalog import UseCases


class NoArguments(Wire):
    """Takes nothing."""


class CheckShape(Wire):
    """One dependency that was really asked."""

    status: str
    latency_ms: float
    error: str


class HealthAnswer(Wire):
    """The worst of all checks, and each of them."""

    status: Annotated[str, Field(description="ok, degraded or unhealthy")]
    checks: dict[str, CheckShape]


class VerifyAnswer(Wire):
    """What verifying the whole ledger found."""

    verdict: Annotated[
        str, Field(description="intact, tampered, incomplete or cannot_check")
    ]
    reason: str
    detail: str
    entries: int


class OperationsTools:
    """Tools that look at the service itself."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def tools(self) -> tuple[Tool[Any], ...]:
        """Return the tools."""
        return (
            Tool(
                "health.status",
                "Health",
                "Ask every part of the service now whether it works.",
                NoArguments,
                HealthAnswer,
                None,
                "read",
                self.health,
            ),
            Tool(
                "audit.verify",
                "Verify the ledger",
                "Verify the whole audit ledger now: signatures, hashes and that "
                "nothing was changed or left out. May take seconds on a long ledger.",
                NoArguments,
                VerifyAnswer,
                Scope.AUDIT,
                "verify",
                self.verify,
            ),
        )

    async def health(self, _caller: Caller, _given: NoArguments) -> Answer:
        """Ask every dependency."""
        report = await self._cases.health()
        checks = {
            name: {
                "status": check.status.value,
                "latency_ms": check.latency_ms,
                "error": check.error,
            }
            for name, check in report.checks.items()
        }
        unwell = [f"{n}: {c['error']}" for n, c in checks.items() if c["error"]]
        text = "; ".join([f"The service is {report.status.value}", *unwell])
        return Answer({"status": report.status.value, "checks": checks}, text)

    async def verify(self, caller: Caller, _given: NoArguments) -> Answer:
        """Verify the ledger."""
        caller.allowed()
        found = await self._cases.audit.verify()
        content = {
            "verdict": found.verdict.value,
            "reason": found.reason.value,
            "detail": found.detail,
            "entries": found.size,
        }
        text = f"The ledger of {found.size} entries is {found.verdict.value}."
        return Answer(content, f"{text} {found.detail}".strip())
