"""/config: the settings in force, changing them, and going back."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.conditions import if_match
from cortex.service.http.description import accepts, if_match_header
from cortex.service.http.wire import configuration as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.configuration import Changed, Condition


class ConfigurationRoutes:
    """Handlers of /config; settings are the operator's, whose tenant is ``local``."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._configuration = cases.configuration

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["config"])
        add = router.add_api_route
        add("/config", self.show, methods=["GET"], response_model=wire.ConfigAnswer)
        add(
            "/config",
            self.change,
            methods=["PATCH"],
            response_model=wire.ChangedAnswer,
            openapi_extra=accepts(wire.ConfigBody) | if_match_header(),
            name="change_config",
        )
        add(
            "/config/rollback",
            self.roll_back,
            methods=["POST"],
            response_model=wire.ChangedAnswer,
            openapi_extra=accepts(wire.RollbackBody) | if_match_header(),
            name="roll_back_config",
        )
        add(
            "/config/history",
            self.history,
            methods=["GET"],
            response_model=wire.HistoryAnswer,
            name="config_history",
        )
        return router

    async def show(self, caller: Admitted) -> Response:
        """Return every setting in force, its layer and limits; secrets are not told."""
        _require_operator(caller)
        headers = _tag(self._configuration.revision)
        return json_answer(wire.config(self._configuration), headers=headers)

    async def change(self, request: Request, caller: Admitted) -> Response:
        """Change settings; with ``If-Match`` only over the revision named there."""
        _require_operator(caller)
        expected = if_match(request)
        body = await read_body(request, wire.ConfigBody)
        made = await self._configuration.change(
            body.set, body.reset, Condition(expected, body.reason), caller.context
        )
        return _changed(made)

    async def roll_back(self, request: Request, caller: Admitted) -> Response:
        """Set what an earlier revision set, as a new revision."""
        _require_operator(caller)
        expected = if_match(request)
        body = await read_body(request, wire.RollbackBody)
        made = await self._configuration.roll_back(
            body.revision, Condition(expected, body.reason), caller.context
        )
        return _changed(made)

    async def history(
        self, caller: Admitted, query: Annotated[wire.HistoryQuery, Query()]
    ) -> Response:
        """List revisions, newest first: who changed what, when and why."""
        _require_operator(caller)
        found = await self._configuration.history(query.before, query.limit)
        return json_answer(wire.history(found, query.limit))


def _require_operator(caller: Caller) -> None:
    caller.require_operator(Scope.CONFIG, "settings are those of all tenants")


def _changed(made: Changed) -> Response:
    return json_answer(wire.changed(made), headers=_tag(made.revision))


def _tag(revision: int) -> dict[str, str]:
    return {"ETag": f'"{revision}"'}
