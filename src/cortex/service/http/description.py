"""The API description (OpenAPI 3.1), with every answer that really occurs."""

from enum import Enum
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from cortex.service import agents, problems
from cortex.service.fields import Wire
from cortex.service.http.answers import JSON, NDJSON
from cortex.service.http.record import OPEN_PATHS
from cortex.service.http.wire import (
    audit,
    configuration,
    context,
    dead_letters,
    embeddings,
    inference,
    media,
    memory,
    operations,
    quarantine,
    tokens,
)

MULTIPART = "multipart/form-data"
_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[Wire], ...] = (
    memory.RememberBody,
    memory.MessagesBody,
    memory.PatchBody,
    memory.SearchBody,
    quarantine.QuarantineBody,
    quarantine.ReasonBody,
    quarantine.ReleaseBody,
    context.ContextBody,
    context.OptimizeBody,
    context.SessionBody,
    context.StateBody,
    context.VectorBody,
    audit.RecordBody,
    configuration.ConfigBody,
    configuration.RollbackBody,
    tokens.TokenBody,
    operations.AcknowledgeBody,
    dead_letters.RetryBody,
    tokens.RotationBody,
    agents.PlanBody,
    agents.ReflectBody,
    embeddings.EmbedBody,
    embeddings.EmbeddingsBody,
    embeddings.OpenAIEmbeddingsBody,
    media.MultimodalTextBody,
    inference.WarmBody,
    inference.PowerBody,
    inference.WorkersBody,
)
_MEANT = {
    400: "The body is not what it says it is",
    401: "No usable token",
    403: "The token lacks a scope or a namespace",
    404: "Not found",
    409: "It contradicts what is stored",
    410: "It was forgotten",
    412: "If-Match does not hold",
    413: "Too large",
    415: "Not a content type that is read here",
    422: "A field is wrong: which, and why",
    429: "Too many requests",
    500: "Something failed inside",
    501: "A model or a program for it is not installed here",
    503: "Not now",
    507: "The disk is full",
}
_ALWAYS = (401, 403, 404, 413, 422, 429, 500, 503)
_WITH_BODY = (400, 415)
_ON_WRITE = (409, 412, 507)
_OPEN = (500, 503)
_ALSO: dict[str, tuple[int, ...]] = {
    "/audit/entries/{index}/content": (410,),
    "/embed/multimodal": (501,),
    "/memory/media": (501,),
}
_UNREADY = 503
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["detail", "error", "correlation_id", "type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "enum": sorted(problems.MEANINGS)},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "field": {"type": "string"},
            },
        },
        "correlation_id": {"type": "string"},
        "retry_after": {"type": "integer", "description": "Seconds"},
    },
}


class Kind(Enum):
    """What kind of body a route reads."""

    OBJECT = "object"
    LINES = "lines"


def accepts(model: type[Wire] | None, kind: Kind = Kind.OBJECT) -> dict[str, Any]:
    """Describe a body that the handler reads by itself."""
    if kind is Kind.LINES or model is None:
        content: dict[str, Any] = {
            NDJSON: {"schema": {"type": "string"}},
            JSON: {"schema": {"type": "object"}},
        }
    else:
        content = {JSON: {"schema": {"$ref": _REF.format(model=model.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}


def streams() -> dict[int | str, dict[str, Any]]:
    """Describe an answer of JSON lines."""
    return {
        200: {
            "description": "JSON lines",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        }
    }


def if_match_header() -> dict[str, Any]:
    """Describe the header that makes a write conditional."""
    return {
        "parameters": [
            {
                "name": "If-Match",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "pattern": '^(\\*|"[!#-~]{1,200}")$'},
            }
        ]
    }


def if_none_match_header() -> dict[str, Any]:
    """Describe the header that spares an answer the caller has already."""
    return {
        "parameters": [
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "pattern": '^"[!#-~]{1,200}"$'},
            }
        ]
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of all routes."""
    api = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
    )
    schemas = api.setdefault("components", {}).setdefault("schemas", {})
    _, bodies = models_json_schema(
        [(model, "validation") for model in _BODIES], ref_template=_REF
    )
    schemas.update(bodies["$defs"])
    schemas["Problem"] = _PROBLEM
    api["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"}
    }
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    return api


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses: tuple[int, ...] = _OPEN
    if path not in OPEN_PATHS:
        operation["security"] = [{"bearer": []}, {}]
        statuses = _ALWAYS + _ALSO.get(path, ())
        if "requestBody" in operation:
            statuses += _WITH_BODY
        if method != "get":
            statuses += _ON_WRITE
    responses = operation["responses"]
    for status in sorted(statuses):
        told = responses.setdefault(str(status), {"description": _MEANT[status]})
        if status == _UNREADY and "content" in told:
            continue
        problem = {"schema": {"$ref": _REF.format(model="Problem")}}
        told["content"] = {problems.MEDIA_TYPE: problem}
