"""/quotas: what the caller's tenant used today, and what it may."""

import math

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from cortex.service.http.answers import json_answer
from cortex.service.http.caller import Admitted
from cortex.usecases.catalog import UseCases


class QuotaAnswer(BaseModel):
    """One measure."""

    model_config = ConfigDict(frozen=True)

    used: int
    limit: int | None = Field(description="None: without limit")


class QuotasAnswer(BaseModel):
    """What the caller's tenant used today (UTC)."""

    model_config = ConfigDict(frozen=True)

    quotas: dict[str, QuotaAnswer]
    resets_in_seconds: int


class QuotaRoutes:
    """Handlers of quotas."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["operations"])
        router.add_api_route(
            "/quotas", self.quotas, methods=["GET"], response_model=QuotasAnswer
        )
        return router

    async def quotas(self, caller: Admitted) -> Response:
        """Tell what the caller's own tenant used of each daily quota."""
        usage = self._cases.usage(caller.principal.tenant)
        answer = QuotasAnswer(
            quotas={
                measure.value: QuotaAnswer(used=used, limit=usage.quotas.of(measure))
                for measure, used in usage.used.items()
            },
            resets_in_seconds=math.ceil(usage.seconds_left),
        )
        return json_answer(answer.model_dump())
