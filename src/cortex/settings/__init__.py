"""The one tree of settings and the one reader of files and environment.

Layers, the later wins: built-in defaults, ``cortex.toml`` (or ``CORTEX_CONFIG``), the
environment (``CORTEX_…``, nested by ``__``), a folder of secrets
(``CORTEX_SECRETS_DIR``, one file a value), and overrides such as command-line flags.
A name nobody reads is refused, with the closest one that somebody does.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic import ValidationError as PydanticError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from cortex.security.tokens import TokenRecord, parse_tokens
from cortex.settings.checks import faults, is_loopback, production_faults
from cortex.settings.choices import (
    EmbeddingProvider,
    Environment,
    LogLevel,
    OpenAI,
    OptionalFile,
    VectorBackend,
)
from cortex.settings.described import NESTED, PREFIX, Described, described
from cortex.settings.doors import (
    Encryption,
    ForwardedHeader,
    IssuerSettings,
    Tls,
    VaultSettings,
)
from cortex.settings.energy import EnergySettings
from cortex.settings.errors import ConfigurationError
from cortex.settings.inference import InferenceSettings
from cortex.settings.language import Llm
from cortex.settings.limits import QuotaSettings
from cortex.settings.secrets import Places, with_secrets
from cortex.settings.telemetry import Trace

__all__ = [
    "PREFIX",
    "ConfigurationError",
    "Described",
    "EmbeddingProvider",
    "Environment",
    "ForwardedHeader",
    "Loaded",
    "LogLevel",
    "OpenAI",
    "Settings",
    "VectorBackend",
    "fetch_secrets",
    "is_loopback",
    "load",
    "load_with_secrets",
]

SIGNING_KEY_BYTES_MIN = 16
"""A shorter key could be guessed; 32 random bytes are a good one."""

_NOT_SETTINGS = frozenset(
    {
        "CORTEX_CONFIG",
        "CORTEX_SECRETS_DIR",
        "CORTEX_URL",
        "CORTEX_TOKEN",
        "CORTEX_TIMEOUT",
        "CORTEX_MAX_RETRIES",
        "CORTEX_PY_FAST_TEST",
    }
)
"""Names that others read: this module's own, and the client's."""

_SERVICE_LINK = re.compile(r"CORTEX_(SERVICE_(HOST|PORT)\w*|PORT_\d+_(TCP|UDP)\w*)")
"""Variables Kubernetes gives every pod beside a service named ``cortex``."""

_SERVICE_ADDRESS = re.compile(r"(tcp|udp)://")


class Settings(BaseSettings):
    """Everything that can be set; each field is read by the composition root."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    env: Environment = Field(
        Environment.DEVELOPMENT,
        description="development, test or production; production refuses weak set-ups.",
    )
    home: Path = Field(
        Path("~/.local/share/cortex"),
        description="Folder of everything that must survive a restart.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(4949, ge=0, le=65535, description="Port; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=64, description="Server processes.")
    log_level: LogLevel = Field(LogLevel.INFO, description="Least severe event logged.")
    json_logs: bool = Field(
        default=True, description="Log JSON lines instead of text for a person."
    )
    brand: str = Field(
        "brAInwav",
        min_length=1,
        max_length=64,
        description="Name on log lines, in cortex_build_info and in health answers.",
    )
    tokens: SecretStr = Field(
        SecretStr(""),
        description="Bearer tokens, name:token:scope+scope[:tenant],… or JSON.",
    )
    signing_key: SecretStr | None = Field(
        None, description="Key that signs context packs, 16 bytes or more."
    )
    signing_key_file: Path | None = Field(
        None, description="File that holds the signing key; not readable by others."
    )
    db_path: Path | None = Field(
        None, description="SQLite file of all memory; HOME/cortex.db when not set."
    )
    vector_backend: VectorBackend = Field(
        VectorBackend.MEMORY, description="Finds near vectors: memory, faiss, usearch."
    )
    embedding_provider: EmbeddingProvider = Field(
        EmbeddingProvider.BUNDLED, description="Where vectors come from."
    )
    embedding_model: str = Field(
        "",
        max_length=200,
        description="Model name or ONNX folder; empty takes the provider's default.",
    )
    openai: OpenAI = Field(
        default_factory=OpenAI, description="Endpoint of the openai provider."
    )
    llm: Llm = Field(
        default_factory=Llm, description="Language model for plans and reflections."
    )
    media_processes: int = Field(
        2, ge=1, le=32, description="Files decoded and read at the same time."
    )
    inference: InferenceSettings = Field(
        default_factory=InferenceSettings, description="What models may take."
    )
    fast_test: bool = Field(
        default=False,
        description="Swap the models for small deterministic ones.",
    )
    max_token_budget: int = Field(
        4096,
        ge=100,
        le=128_000,
        description="Budget of a context not given one, tokens.",
    )
    default_ttl: int = Field(
        120, ge=1, le=86_400, description="Seconds a snapshot stays fresh."
    )
    context_size_cap: int = Field(
        30_720, ge=2_048, le=1_048_576, description="Largest snapshot, bytes."
    )
    rate_limit_per_minute: int = Field(
        6_000, ge=1, le=1_000_000, description="Requests one client may send a minute."
    )
    quotas: QuotaSettings = Field(
        default_factory=QuotaSettings, description="What one tenant may use a day."
    )
    drain_seconds: float = Field(
        30.0, ge=0, le=300, description="Longest wait for requests in flight on stop."
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis for hot state shared by processes; in memory without."
    )
    events_url: SecretStr | None = Field(None, description="NATS or Redis for events.")
    sentry_dsn: SecretStr | None = Field(None, description="Sentry project for errors.")
    databases: dict[str, Path] = Field(
        default_factory=dict, description="SQLite files shown under /db, by name."
    )
    services: dict[str, str] = Field(
        default_factory=dict, description="Health URLs shown under /svc, by name."
    )
    fs_roots: dict[str, Path] = Field(
        default_factory=dict, description="Folders readable under /fs, by name."
    )
    ledger_pins: Path | None = Field(
        None, description="Folder of the pinned ledger head; better on another disk."
    )
    policy_file: Path | None = Field(
        None, description="Who may do what, where and when; scopes decide without."
    )
    issuers: dict[str, IssuerSettings] = Field(
        default_factory=dict, description="OpenID Connect issuers let in, by name."
    )
    slo_file: OptionalFile = Field(
        None, description="Objectives, .slo.yml or OpenSLO; built-in ones without."
    )
    tls: Tls = Field(default_factory=Tls, description="HTTPS and client certificates.")
    public_url: str = Field(
        "",
        max_length=500,
        description="Address clients reach this server by, told to OAuth clients; "
        "empty is the one listened on.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses and networks of our own proxies, by commas; what others "
        "say of a client is not believed.",
    )
    forwarded_header: ForwardedHeader = Field(
        ForwardedHeader.X_FORWARDED_FOR,
        description="The one header those proxies write: x-forwarded-for or forwarded.",
    )
    vault: VaultSettings = Field(
        default_factory=VaultSettings, description="Where vault: references are read."
    )
    encryption: Encryption = Field(
        default_factory=Encryption, description="Encryption of what is stored."
    )
    energy: EnergySettings = Field(
        default_factory=EnergySettings, description="Where figures of power come from."
    )
    trace: Trace = Field(default_factory=Trace, description="Which traces are kept.")
    ledger_witnesses: dict[str, str] = Field(
        default_factory=dict,
        description="Verifier keys of witnesses that cosign each head, by URL.",
    )
    ledger_archive: str = Field(
        default="",
        description="Folder, file:// URL or s3://BUCKET/PREFIX that entries of the "
        "ledger move to when they are a month old.",
    )

    @field_validator("tokens", mode="before")
    @classmethod
    def _tokens_as_text(cls, value: object) -> object:
        """Let files write tokens as a table."""
        return json.dumps(value) if isinstance(value, dict) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies_by_commas(cls, value: object) -> object:
        """Let the environment write the list without JSON."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the parent's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what ``load`` hands over: it has merged the layers already."""
        return (init_settings,)

    @property
    def home_folder(self) -> Path:
        """Return ``home`` with ``~`` resolved."""
        return self.home.expanduser()

    @property
    def database_file(self) -> Path:
        """Return the SQLite file of all memory."""
        path = self.db_path or self.home_folder / "cortex.db"
        return path.expanduser()

    @property
    def open_access(self) -> bool:
        """Return whether callers need no token: development, loopback, none set."""
        return (
            self.env is not Environment.PRODUCTION
            and is_loopback(self.host)
            and not self.has_credentials
        )

    @property
    def has_credentials(self) -> bool:
        """Return whether any way to prove who one is was set up."""
        named = self.tokens.get_secret_value().strip()
        return bool(named or self.issuers or self.tls.rules)

    def token_records(self) -> tuple[TokenRecord, ...]:
        """Return the tokens, hashed."""
        return parse_tokens(self.tokens.get_secret_value())

    def signing_key_bytes(self) -> bytes | None:
        """Return the explicit signing key; None when there is none.

        Raises:
            ConfigurationError: the key file cannot be read, or the key is too short.
        """
        if self.signing_key is not None:
            key = self.signing_key.get_secret_value().encode()
        elif self.signing_key_file is not None:
            key = _read_key(self.signing_key_file.expanduser())
        else:
            return None
        if len(key) < SIGNING_KEY_BYTES_MIN:
            message = f"the signing key is shorter than {SIGNING_KEY_BYTES_MIN} bytes"
            raise ConfigurationError(
                message, hint="Make one with: openssl rand -hex 32", field="signing_key"
            )
        return key

    def check(self) -> None:
        """Raise ``ConfigurationError`` unless a server may start so."""
        problems = list(faults(self))
        if self.env is Environment.PRODUCTION:
            problems.extend(production_faults(self))
        if problems:
            raise ConfigurationError(
                "cannot start: " + "; ".join(problems), problems=problems
            )


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and from which layer each value came."""

    settings: Settings
    sources: Mapping[str, str]

    def describe(self) -> list[Described]:
        """Return every setting with its source, in the order of the tree."""
        return list(described(self.settings, self.sources))


def load(overrides: Mapping[str, object] | None = None) -> Loaded:
    """Read all layers and return the settings.

    Args:
        overrides: values that win over everything, by field name; None values do not
            count, so that unset command-line flags can be passed as they are.

    Raises:
        ConfigurationError: an unknown name, a wrong value or an unreadable file.
    """
    _refuse_unknown_variables()
    given = {
        key: value for key, value in (overrides or {}).items() if value is not None
    }
    layers = (
        ("file", _file_layer()),
        ("environment", _environment_layer()),
        ("secrets", _secrets_layer()),
        ("override", given),
    )
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer, values in layers:
        _merge(merged, values)
        sources.update(dict.fromkeys(_leaves(values), layer))
    try:
        settings = Settings(**merged)
    except PydanticError as error:
        raise _explained(error, sources) from None
    return Loaded(settings, sources)


def load_with_secrets(overrides: Mapping[str, object] | None = None) -> Loaded:
    """Read all layers and fetch the secrets that they refer to.

    Raises:
        ConfigurationError: as ``load``; or a secret is not where it should be.
    """
    loaded = load(overrides)
    return Loaded(fetch_secrets(loaded.settings), loaded.sources)


def fetch_secrets(settings: Settings) -> Settings:
    """Return the settings with the values that references to secrets name.

    Raises:
        ConfigurationError: a secret is not where it should be.
    """
    return with_secrets(settings, Places(os.environ, _secrets_folder()))


def _secrets_folder() -> Path | None:
    folder = os.environ.get("CORTEX_SECRETS_DIR")
    return None if folder is None else Path(folder).expanduser()


def _file_layer() -> dict[str, Any]:
    explicit = os.environ.get("CORTEX_CONFIG")
    path = Path(explicit or "cortex.toml").expanduser()
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except FileNotFoundError:
        if explicit is None:
            return {}
        raise _unusable(f"CORTEX_CONFIG names {path}, which is not there") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unusable(f"{path} cannot be read: {error}") from None


def _environment_layer() -> dict[str, Any]:
    try:
        values = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise _unusable(f"{error}; write it as JSON") from None
    if _SERVICE_ADDRESS.match(str(values.get("port", ""))):
        del values["port"]  # a service link of Kubernetes, not a setting
    legacy = os.environ.get("CORTEX_PY_FAST_TEST")
    if legacy is not None:
        values.setdefault("fast_test", legacy)
    return values


def _secrets_layer() -> dict[str, Any]:
    path = _secrets_folder()
    if path is None:
        return {}
    if not path.is_dir():
        raise _unusable(f"CORTEX_SECRETS_DIR names {path}, which is not a folder")
    return SecretsSettingsSource(Settings, secrets_dir=path)()


def _refuse_unknown_variables() -> None:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in _NOT_SETTINGS:
            continue
        if _SERVICE_LINK.fullmatch(upper):
            continue
        if upper.partition("__")[0] not in known:
            raise _unknown(name, known | _NOT_SETTINGS)


def _unknown(name: str, known: set[str]) -> ConfigurationError:
    close = difflib.get_close_matches(name.upper(), sorted(known), n=1)
    hint = f"Did you mean {close[0]}?" if close else "'cortex config show' lists all."
    return ConfigurationError(f"{name} is not a setting", hint=hint, field=name)


def _unusable(message: str) -> ConfigurationError:
    return ConfigurationError(message, hint="See docs/reference/settings.md.")


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Merge nested tables; name-to-value maps of a later layer add to earlier ones."""
    for key, value in values.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, Mapping):
            _merge(present, value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _leaves(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and key in NESTED:
            yield from (f"{key}.{name}" for name in value)
        else:
            yield key


def _explained(error: PydanticError, sources: Mapping[str, str]) -> ConfigurationError:
    """Turn pydantic's findings into one line, without the values."""
    fields = [str(key) for key in Settings.model_fields]
    parts = []
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        source = sources.get(name, sources.get(name.partition(".")[0], "default"))
        if fault["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, fields, n=1)
            reason = f"not a setting{f' (did you mean {close[0]}?)' if close else ''}"
        else:
            reason = fault["msg"]
        parts.append(f"{name} (from {source}): {reason}")
    return ConfigurationError("; ".join(parts), problems=parts)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        message = f"the key file {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message, field="signing_key_file") from None
