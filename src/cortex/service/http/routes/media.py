"""/embed/multimodal and /memory/media: files of any modality."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.errors import PayloadTooLarge
from cortex.foundation.limits import BODY_BYTES_MAX
from cortex.inference.media.errors import InvalidModality
from cortex.inference.media.kinds import MediaKind
from cortex.security.scopes import Scope
from cortex.service.http.answers import JSON, json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.connected import while_connected
from cortex.service.http.description import MULTIPART, accepts
from cortex.service.http.upload import Uploads
from cortex.service.http.wire import media as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.media import MediaFile, MediaOptions


class MediaRoutes:
    """Handlers of files."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases
        self._uploads = Uploads(wire.LIMITS)

    def router(self) -> APIRouter:
        """Return the routes; they go before ``/memory/{memory_id}``."""
        router = APIRouter(tags=["media"])
        both = accepts(wire.MultimodalTextBody)
        both["requestBody"]["content"][MULTIPART] = wire.form(wire.OptionFields)
        router.add_api_route(
            "/embed/multimodal",
            self.embed,
            methods=["POST"],
            response_model=wire.MultimodalAnswer,
            responses=MISSING,
            openapi_extra=both,
        )
        content = {MULTIPART: wire.form(wire.MediaItemFields)}
        router.add_api_route(
            "/memory/media",
            self.remember,
            methods=["POST"],
            response_model=wire.RememberedMediaAnswer,
            responses=MISSING,
            openapi_extra={"requestBody": {"required": True, "content": content}},
        )
        return router

    async def embed(self, request: Request, caller: Admitted) -> Response:
        """Embed a text (JSON), or a picture, recording, film or text file (form)."""
        caller.require(Scope.INFERENCE)
        if not _is_form(request):
            return await self._embed_text(request, caller)
        async with self._uploads.receive(request) as upload:
            kind = wire.modality(upload.fields.get("modality"))
            asked = wire.fields(upload.fields, wire.OptionFields)
            file = MediaFile(upload.file, upload.size, kind, upload.declared)
            options = _of(caller, asked.options())
            work = self._cases.embed_media.file(file, options)
            made = await while_connected(request, work)
        return json_answer(wire.embedded(made))

    async def _embed_text(self, request: Request, caller: Caller) -> Response:
        announced = int(request.headers.get("content-length") or 0)
        if announced > BODY_BYTES_MAX:
            message = f"a JSON body may have {BODY_BYTES_MAX} bytes"
            raise PayloadTooLarge(message, field="body", limit=BODY_BYTES_MAX)
        body = await read_body(request, wire.MultimodalTextBody)
        if wire.modality(body.modality) is not MediaKind.TEXT:
            message = f"a text is not of modality {body.modality[:20]}"
            hint = "Send files as multipart/form-data, in the part named 'file'."
            raise InvalidModality(message, hint=hint, field="modality")
        options = _of(caller, body.options())
        made = await self._cases.embed_media.text(body.text, options)
        return json_answer(wire.embedded(made))

    async def remember(self, request: Request, caller: Admitted) -> Response:
        """Store what a file shows and says; a text query finds it.

        The file itself is not kept: ``source`` of the item may say where it is.
        """
        caller.principal.require(Scope.MEMORY)
        async with self._uploads.receive(request) as upload:
            kind = wire.modality(upload.fields.get("modality"))
            asked = wire.item_fields(upload.fields)
            body = asked.memory()
            namespace = caller.namespace(Scope.MEMORY, body.namespace)
            made = await self._cases.remember_media(
                caller.principal,
                namespace,
                MediaFile(upload.file, upload.size, kind, upload.declared),
                wire.domain(body),
                caller.context,
                ocr=asked.ocr,
            )
        return json_answer(wire.remembered(made, kind))


MISSING: dict[int | str, dict[str, object]] = {
    501: {"description": "A model or a program for it is not installed here"}
}


def _of(caller: Caller, options: MediaOptions) -> MediaOptions:
    return replace(options, tenant=caller.principal.tenant)


def _is_form(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == MULTIPART if media != JSON else False
