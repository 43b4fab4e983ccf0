"""HashiCorp Vault (and OpenBao), KV version 2, as a source of secrets.

Logs in with a given token, an AppRole or a Kubernetes service account; logs in again
when its token ran out. What was read is kept for ``VAULT_FRESH_SECONDS``.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cortex.foundation.clock import Clock
from cortex.foundation.retry import RetryPolicy, retry_async
from cortex.security.addresses import require_secure
from cortex.security.errors import SecretUnavailable
from cortex.security.secrets import Reference, Secret, missing, unavailable

VAULT_FRESH_SECONDS = 300.0
"""Age at which a secret is read anew: bounds how long a rotated one is missed."""

VAULT_TIMEOUT_SECONDS = 5.0
"""Longest wait for one answer."""

ANSWER_BYTES_MAX = 1024 * 1024
"""Bytes of an answer; Vault's own limit for a secret is near that."""

SECRETS_KEPT_MAX = 256
"""Secrets kept in memory; a service needs a handful."""

_LOGIN = Reference("vault", "auth/login")
_MEANINGS = {
    400: "Vault refuses the request",
    403: "Vault does not let us in",
    429: "Vault is a standby or busy",
    472: "Vault is a recovery standby",
    473: "Vault is a performance standby",
    500: "Vault failed",
    502: "Vault could not reach a service behind it",
    503: "Vault is sealed or down for maintenance",
}


@dataclass(frozen=True, slots=True)
class VaultToken:
    """A token that someone else renews, in memory or in a file (Vault Agent's sink)."""

    token: Secret | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class VaultAppRole:
    """The login of a machine."""

    role_id: str
    secret_id: Secret
    mount: str = "approle"


@dataclass(frozen=True, slots=True)
class VaultKubernetes:
    """The login of a pod, by its service account."""

    role: str
    token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    mount: str = "kubernetes"


@dataclass(frozen=True, slots=True)
class VaultOptions:
    """How to reach Vault.

    Attributes:
        address: root, such as ``https://vault.example.com:8200``.
        login: how to get in.
        namespace: of Vault Enterprise or OpenBao; empty for the root.
        retry: for answers that may be better in a moment.
    """

    address: str
    login: VaultToken | VaultAppRole | VaultKubernetes
    namespace: str = ""
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        """Refuse to send secrets over the open network."""
        require_secure(self.address, "vault.address")


@dataclass(frozen=True, slots=True)
class _Kept:
    fields: Mapping[str, object] = field(repr=False)
    read_at: float = 0.0


class VaultSource:
    """Reads fields of KV version 2 secrets; for one event loop."""

    def __init__(
        self, options: VaultOptions, *, client: httpx.AsyncClient, clock: Clock
    ) -> None:
        """Use a client that its owner closes; nothing is asked yet."""
        self._options = options
        self._client = client
        self._clock = clock
        self._token: Secret | None = None
        self._kept: dict[tuple[str, int | None], _Kept] = {}
        self._lock = asyncio.Lock()

    async def read(self, reference: Reference) -> str:
        """Return one field.

        Raises:
            SecretNotFound: no such secret, version or field, or it was deleted.
            SecretUnavailable: Vault is down, sealed, or does not let us in.
        """
        async with self._lock:
            fields = await self._fields(reference)
        value = fields.get(reference.field)
        if value is None:
            raise missing(reference, "it has no such field")
        return value if isinstance(value, str) else json.dumps(value)

    def __repr__(self) -> str:
        """Show the address only."""
        return f"VaultSource({self._options.address!r})"

    async def _fields(self, reference: Reference) -> Mapping[str, object]:
        key = (reference.path, reference.version)
        kept = self._kept.get(key)
        now = self._clock.monotonic()
        if kept is not None and now - kept.read_at < VAULT_FRESH_SECONDS:
            return kept.fields
        fields = await retry_async(
            lambda: self._read_fields(reference), self._options.retry
        )
        if len(self._kept) >= SECRETS_KEPT_MAX:
            self._kept.clear()
        self._kept[key] = _Kept(fields, self._clock.monotonic())
        return fields

    async def _read_fields(self, reference: Reference) -> Mapping[str, object]:
        mount, _, path = reference.path.partition("/")
        query = {} if reference.version is None else {"version": reference.version}
        answer = await self._authorized(f"{mount}/data/{path}", query, reference)
        tree = _json(answer, reference)
        data = tree.get("data")
        if answer.status_code == httpx.codes.NOT_FOUND:
            was_there = isinstance(data, dict) and "metadata" in data
            raise missing(reference, "it was deleted" if was_there else "no such path")
        _check(answer, reference)
        fields = data.get("data") if isinstance(data, dict) else None
        if not isinstance(fields, dict):
            raise unavailable(reference, "this mount is not KV version 2")
        return fields

    async def _authorized(
        self, path: str, query: Mapping[str, int], reference: Reference
    ) -> httpx.Response:
        """Ask with our token; once more with a fresh one if it ran out."""
        fresh = self._token is None
        token = self._token or await self._log_in()
        answer = await self._send("GET", path, reference, token=token, query=query)
        if answer.status_code == httpx.codes.FORBIDDEN and not fresh:
            token = await self._log_in()
            answer = await self._send("GET", path, reference, token=token, query=query)
        return answer

    async def _log_in(self) -> Secret:
        self._token = None
        login = self._options.login
        if isinstance(login, VaultToken):
            self._token = login.token or await self._token_of_file(login.file)
            return self._token
        if isinstance(login, VaultAppRole):
            body = {"role_id": login.role_id, "secret_id": login.secret_id.reveal()}
        else:
            jwt = await self._token_of_file(login.token_file)
            body = {"role": login.role, "jwt": jwt.reveal()}
        path = f"auth/{login.mount}/login"
        answer = await self._send("POST", path, _LOGIN, body=body)
        _check(answer, _LOGIN)
        auth = _json(answer, _LOGIN).get("auth")
        token = auth.get("client_token") if isinstance(auth, dict) else None
        if not isinstance(token, str):
            raise unavailable(_LOGIN, "the login gave no token")
        self._token = Secret(token)
        return self._token

    async def _token_of_file(self, file: Path | None) -> Secret:
        if file is None:
            raise unavailable(_LOGIN, "neither a token nor a file is configured")
        try:
            text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise unavailable(_LOGIN, f"{file} cannot be read") from None
        return Secret(text.strip())

    async def _send(
        self,
        method: str,
        path: str,
        reference: Reference,
        *,
        token: Secret | None = None,
        query: Mapping[str, int] | None = None,
        body: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        headers = {"X-Vault-Request": "true"}
        if token is not None:
            headers["X-Vault-Token"] = token.reveal()
        if self._options.namespace:
            headers["X-Vault-Namespace"] = self._options.namespace
        try:
            answer = await self._client.request(
                method,
                f"{self._options.address.rstrip('/')}/v1/{path}",
                headers=headers,
                params=query,
                json=body,
                timeout=VAULT_TIMEOUT_SECONDS,
                follow_redirects=False,
            )
        except httpx.HTTPError as error:
            raise unavailable(reference, type(error).__name__) from None
        if len(answer.content) > ANSWER_BYTES_MAX:
            raise unavailable(reference, f"more than {ANSWER_BYTES_MAX} bytes")
        return answer


class _Refused(SecretUnavailable):
    """Vault said no for good; trying again does not help."""

    retryable = False


def _check(answer: httpx.Response, reference: Reference) -> None:
    """Raise unless the answer is good; its text is not repeated."""
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    error = unavailable(reference, _MEANINGS.get(status, f"status {status}"))
    if status in {httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN}:
        raise _Refused(error.message, hint=error.hint, reference=str(reference))
    raise error


def _json(answer: httpx.Response, reference: Reference) -> Mapping[str, object]:
    try:
        tree = answer.json()
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        _check(answer, reference)
        raise unavailable(reference, "the answer is not JSON")
    return tree
