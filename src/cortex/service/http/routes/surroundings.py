"""/db, /svc, /fs and /models: what is around the memory, read-only."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.caller import Admitted
from cortex.service.http.wire import surroundings as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.embed import check_model

ModelName = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]
DatabaseName = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class SurroundingsRoutes:
    """Handlers of everything that is shown and not changed."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter()
        for path, handler, answer, tag in (
            ("/db/list", self.list_databases, wire.DatabasesAnswer, "databases"),
            ("/db/schema/{name}", self.database_schema, wire.SchemaAnswer, "databases"),
            ("/db/sample", self.database_sample, wire.SampleAnswer, "databases"),
            ("/svc/list", self.list_services, wire.ServicesAnswer, "services"),
            ("/svc/health", self.service_health, wire.ServicesHealthAnswer, "services"),
            ("/fs/list", self.list_files, wire.FolderAnswer, "files"),
            ("/fs/read_text", self.read_text, wire.TextAnswer, "files"),
            ("/models", self.models, wire.ModelsAnswer, "models"),
            ("/v1/models", self.openai_models, wire.OpenAIModelsAnswer, "models"),
            (
                "/v1/models/{model:path}",
                self.openai_model,
                wire.OpenAIModelAnswer,
                "models",
            ),
        ):
            router.add_api_route(
                path, handler, methods=["GET"], response_model=answer, tags=[tag]
            )
        return router

    async def list_databases(self, caller: Admitted) -> Response:
        """List the registered databases."""
        caller.require(Scope.DATABASE)
        return json_answer({"databases": await self._cases.list_databases()})

    async def database_schema(self, name: DatabaseName, caller: Admitted) -> Response:
        """Return the tables of a database."""
        caller.require(Scope.DATABASE)
        return json_answer(await self._cases.database_schema(name))

    async def database_sample(
        self, caller: Admitted, query: Annotated[wire.SampleQuery, Query()]
    ) -> Response:
        """Return the first rows of a table."""
        caller.require(Scope.DATABASE)
        rows = await self._cases.database_sample(
            query.database, query.table, query.limit
        )
        return json_answer(wire.sample(rows))

    async def list_services(self, caller: Admitted) -> Response:
        """List the known services."""
        caller.require(Scope.SERVICES)
        return json_answer({"services": await self._cases.list_services()})

    async def service_health(self, caller: Admitted) -> Response:
        """Measure the health of the known services now."""
        caller.require(Scope.SERVICES)
        return json_answer({"services": await self._cases.service_health()})

    async def list_files(
        self, caller: Admitted, query: Annotated[wire.FolderQuery, Query()]
    ) -> Response:
        """List a folder of a registered root."""
        caller.require(Scope.FILESYSTEM)
        return json_answer(await self._cases.list_files(query.root, query.path))

    async def read_text(
        self, caller: Admitted, query: Annotated[wire.ReadTextQuery, Query()]
    ) -> Response:
        """Return the beginning of a text file of a registered root."""
        caller.require(Scope.FILESYSTEM)
        text = await self._cases.read_text(query.root, query.path, query.num_bytes)
        return json_answer(text)

    async def models(self, caller: Admitted) -> Response:
        """List the models, where they came from and what they did."""
        caller.require(Scope.INFERENCE)
        return json_answer(wire.models(await self._cases.models()))

    async def openai_models(self, caller: Admitted) -> Response:
        """List the models that embed here, as clients of OpenAI's API expect it."""
        caller.require(Scope.INFERENCE)
        return json_answer(wire.openai_models(await self._cases.models()))

    async def openai_model(self, model: ModelName, caller: Admitted) -> Response:
        """Return one model that embeds here, as clients of OpenAI's API expect it."""
        caller.require(Scope.INFERENCE)
        # The active model comes first.
        active, *_ = await self._cases.models()
        check_model(model, active.info.name)
        return json_answer(wire.openai_model(active))
