"""The request boundary: every failure becomes one body, and nothing leaks."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cortex.foundation.errors import CortexError
from cortex.service import problems
from cortex.service.http.answers import internal_answer, problem_answer
from cortex.service.http.record import record_of, route_of
from cortex.service.http.resources import Resources
from cortex.telemetry.logs import Logger


class Boundary:
    """Turns errors into answers; what nobody foresaw is logged and told as 500."""

    def __init__(self, app: ASGIApp, log: Logger, resources: Resources) -> None:
        """Wrap ``app``; ``resources`` say what a challenge names."""
        self._app = app
        self._log = log
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and answer whatever it raises."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        record = record_of(scope)
        try:
            await self._app(scope, receive, watched)
        except CortexError as error:
            record.error_code = error.code
            if problems.meaning_of(error) is problems.INTERNAL:
                self._log.error(
                    "request failed",
                    code=error.code,
                    route=route_of(scope),
                    exc_info=error,
                )
            if started:
                raise
            answer = problem_answer(
                error, record.correlation_id, self._challenge(scope, error)
            )
            await answer(scope, receive, send)
        except ClientDisconnect:
            self._log.debug("client left")
        except Exception as error:
            record.error_code = CortexError.code
            self._log.error("request failed", route=route_of(scope), exc_info=error)
            if started:
                raise
            await internal_answer(record.correlation_id)(scope, receive, send)

    def _challenge(self, scope: Scope, error: CortexError) -> dict[str, str]:
        """Return the header that tells a client how to get in."""
        token = any(name == b"authorization" for name, _ in scope["headers"])
        said = self._resources.challenge(error, scope["path"], token=token)
        return {"WWW-Authenticate": said} if said else {}
