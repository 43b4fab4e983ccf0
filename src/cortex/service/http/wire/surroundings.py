"""Resources, databases, services, files, models and health on the wire."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from cortex.service.fields import Name, Wire
from cortex.service.http.wire.memory import plain
from cortex.usecases.model import (
    CheckResult,
    DatabaseSample,
    HealthReport,
    LoadedModel,
    Resource,
    Status,
)

SAMPLE_ROWS_MAX = 1_000
SAMPLE_ROWS_DEFAULT = 10
READ_BYTES_MIN = 256
READ_BYTES_MAX = 8_192
READ_BYTES_DEFAULT = 4_096
PATH_CHARACTERS_MAX = 1_024

PathText = Annotated[str, StringConstraints(max_length=PATH_CHARACTERS_MAX)]


class SampleQuery(Wire):
    """GET /db/sample."""

    database: Name
    table: Name
    limit: Annotated[int, Field(ge=1, le=SAMPLE_ROWS_MAX)] = SAMPLE_ROWS_DEFAULT


class FolderQuery(Wire):
    """GET /fs/list."""

    root: Name
    path: PathText = ""


class ReadTextQuery(Wire):
    """GET /fs/read_text."""

    root: Name
    path: PathText
    num_bytes: Annotated[int, Field(ge=READ_BYTES_MIN, le=READ_BYTES_MAX)] = (
        READ_BYTES_DEFAULT
    )


class Growing(Wire):
    """An answer that may carry more than it names."""

    model_config = ConfigDict(extra="allow", frozen=True)


class SnapshotAnswer(Growing):
    """A signed context pack."""

    generated_at: str
    ttl_seconds: int
    summary: Any
    resources: list[Any]
    hot_facts: list[Any]
    signature: str
    token_count: int
    freshness: str


class ResourceAnswer(Wire):
    """Something within reach."""

    id: str
    kind: str
    name: str
    uri: str
    metadata: dict[str, Any]


class ResourcesAnswer(Wire):
    """GET /state/discover."""

    resources: list[ResourceAnswer]


class DatabaseAnswer(Wire):
    """A registered database."""

    name: str
    engine: str
    tables: int


class DatabasesAnswer(Wire):
    """GET /db/list."""

    databases: list[DatabaseAnswer]


class ColumnAnswer(Wire):
    """One column."""

    name: str
    type: str
    nullable: bool
    primary_key: bool


class TableAnswer(Wire):
    """One table."""

    name: str
    columns: list[ColumnAnswer]


class SchemaAnswer(Wire):
    """GET /db/schema/{name}."""

    database: str
    tables: list[TableAnswer]
    schema_hash: str
    computed_at: float


class SampleAnswer(Wire):
    """Rows of a table."""

    database: str
    table: str
    limit: int
    rows: list[dict[str, Any]]
    truncated: bool


class ServiceAnswer(Wire):
    """A known service."""

    name: str
    kind: str
    url: str


class ServicesAnswer(Wire):
    """GET /svc/list."""

    services: list[ServiceAnswer]


class ServiceHealthAnswer(Wire):
    """Measured health of one service."""

    name: str
    status: str
    latency_ms: float
    checked_at: float
    error: str


class ServicesHealthAnswer(Wire):
    """GET /svc/health."""

    services: list[ServiceHealthAnswer]


class FileAnswer(Wire):
    """One entry of a folder."""

    name: str
    path: str
    kind: str
    size_bytes: int
    modified_at: float


class FolderAnswer(Wire):
    """GET /fs/list."""

    root: str
    path: str
    entries: list[FileAnswer]
    truncated: bool


class TextAnswer(Wire):
    """GET /fs/read_text."""

    root: str
    path: str
    text: str
    size_bytes: int
    bytes_read: int
    truncated: bool


class ModelAnswer(Wire):
    """One model of the registry."""

    name: str
    revision: str
    sha256: str
    license: str
    dimensions: int
    max_tokens: int
    space: str
    source: str
    runtime: str
    memory_bytes: int
    degraded: bool
    loaded: bool
    modalities: list[str]
    active: bool
    cache_hits: int
    cache_misses: int
    uses: int
    load_misses: int
    load_seconds: float
    evictions: int


class ModelsAnswer(Wire):
    """GET /models."""

    models: list[ModelAnswer]


class OpenAIModelAnswer(Wire):
    """One model as OpenAI's clients expect it."""

    id: str
    object: str
    created: int
    owned_by: str


class OpenAIModelsAnswer(Wire):
    """GET /v1/models."""

    object: str
    data: list[OpenAIModelAnswer]


class CheckAnswer(Growing):
    """One dependency, asked now; more facts may follow."""

    status: Status
    latency_ms: float
    error: str | None = None


class HealthAnswer(Growing):
    """GET /healthz."""

    status: Status
    service: str
    version: str
    brand: str
    checks: dict[str, CheckAnswer]


class ComponentsAnswer(Growing):
    """GET /health."""

    status: Status
    service: str
    version: str
    brand: str
    components: dict[str, CheckAnswer]


class AliveAnswer(Wire):
    """GET /health/live."""

    status: Status
    service: str
    version: str
    brand: str


class ReadyAnswer(Wire):
    """GET /ready."""

    ready: bool
    status: str


def resources(found: Sequence[Resource]) -> dict[str, object]:
    """Shape GET /state/discover."""
    return {
        "resources": [
            {
                "id": item.id,
                "kind": item.kind,
                "name": item.name,
                "uri": item.uri,
                "metadata": plain(item.metadata),
            }
            for item in found
        ]
    }


def sample(value: DatabaseSample) -> dict[str, object]:
    """Shape GET /db/sample."""
    return {
        "database": value.database,
        "table": value.table,
        "limit": value.limit,
        "rows": [plain(row) for row in value.rows],
        "truncated": value.truncated,
    }


def models(found: Sequence[LoadedModel]) -> dict[str, object]:
    """Shape GET /models."""
    return {
        "models": [
            {
                **asdict(model.info),
                **{k: v for k, v in asdict(model).items() if k != "info"},
            }
            for model in found
        ]
    }


def openai_models(found: Sequence[LoadedModel]) -> dict[str, object]:
    """Shape GET /v1/models: the models that ``/v1/embeddings`` takes."""
    data = [openai_model(model) for model in found if model.active]
    return {"object": "list", "data": data}


def openai_model(model: LoadedModel) -> dict[str, object]:
    """Shape GET /v1/models/{model}."""
    return {
        "id": model.info.name,
        "object": "model",
        "created": 0,
        "owned_by": model.info.source,
    }


def checks(report: HealthReport) -> dict[str, object]:
    """Shape every check by name."""
    return {name: _check(result) for name, result in report.checks.items()}


def _check(result: CheckResult) -> dict[str, object]:
    shaped: dict[str, object] = {
        **result.detail,
        "status": result.status,
        "latency_ms": round(result.latency_ms, 3),
    }
    if result.error:
        shaped["error"] = result.error
    return shaped
