"""Objects in an S3-compatible store; every put creates, none overwrites.

Creating only is the store's own doing (``If-None-Match: *``), so that of two writers
one wins. Some older stores pass over that header; the first put of a process finds such
a store out and refuses to use it.

Credentials, region and endpoint come from the usual ``AWS_`` variables.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from cortex.foundation.errors import ValidationError
from cortex.ledger.errors import ArchiveUnreachable, ObjectExists, ObjectMissing
from cortex.ledger.objects import key_parts

if TYPE_CHECKING:
    from obstore.store import ClientConfig

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import S3Store
except ImportError as error:
    message = "an archive in S3 needs the extra: pip install 'cortex-context[s3]'"
    raise ImportError(message) from error

CONNECT_SECONDS = 5.0
"""Wait for a connection: a store that takes longer is treated as down."""

REQUEST_SECONDS = 60.0
"""Wait for one request: a bundle is a few hundred kilobytes, at most some megabytes."""

RETRIES_MAX = 3
"""Tries after the first; a create that was answered by nobody may be sent again, for
the bytes that lie there are compared."""

PROBE_KEY = "create-only"
PROBE = b"Cortex writes this once, to see that nothing here is ever overwritten.\n"


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where the objects lie.

    Attributes:
        bucket: its name.
        prefix: what every key begins with; may be empty.
        endpoint: URL of a store other than Amazon's; empty for the environment's.
        region: empty for the environment's.
        retries_max: tries after the first.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    retries_max: int = RETRIES_MAX


class S3Objects:
    """Objects below a prefix of a bucket."""

    def __init__(self, place: S3Place) -> None:
        """Name the place; nothing is asked of it yet.

        Raises:
            ValidationError: the names or the environment make no store.
        """
        self._place = place
        self._creates_only = False
        try:
            self._store = _open(place)
        except (BaseError, ValueError) as error:
            message = f"{_name(place)} is no place for an archive: {_first(error)}"
            raise ValidationError(message, field="ledger_archive") from error

    def put(self, key: str, data: bytes) -> None:
        """Store an object durably; the same bytes again are no error.

        Raises:
            ObjectExists: other bytes lie there under that key.
            ArchiveUnreachable: the store does not answer, or refuses.
        """
        key_parts(key)
        if not self._creates_only:
            self._probe()
        if not self._create(key, data) and self.get(key) != data:
            raise ObjectExists(f"the archive holds other bytes under {key}", key=key)

    def get(self, key: str) -> bytes:
        """Return an object.

        Raises:
            ObjectMissing: there is none of that key.
            ArchiveUnreachable: the store does not answer, or refuses.
        """
        key_parts(key)
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError as error:
            message = f"the archive has no object {key}"
            raise ObjectMissing(message, key=key) from error
        except (BaseError, OSError) as error:
            self._refuse(error)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix``, in order.

        Raises:
            ArchiveUnreachable: the store does not answer, or refuses.
        """
        # Stores list whole path elements only, so the rest of the prefix is ours.
        folder = prefix.rpartition("/")[0]
        try:
            found = [
                str(item["path"])
                for group in obstore.list(self._store, folder or None)
                for item in group
            ]
        except (BaseError, OSError) as error:
            self._refuse(error)
        yield from sorted(key for key in found if key.startswith(prefix))

    def _create(self, key: str, data: bytes) -> bool:
        """Create an object; return False, changing nothing, if one lies there."""
        try:
            obstore.put(self._store, key, data, mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            self._refuse(error)
        return True

    def _probe(self) -> None:
        """Make sure that the store creates only."""
        if self._create(PROBE_KEY, PROBE) and self._create(PROBE_KEY, PROBE):
            message = f"{_name(self._place)} lets objects be overwritten"
            hint = "Use a store that honours If-None-Match on puts."
            raise ArchiveUnreachable(message, hint=hint)
        self._creates_only = True

    def _refuse(self, error: Exception) -> NoReturn:
        message = f"the archive {_name(self._place)} cannot be used: {_first(error)}"
        hint = "Nothing was removed from this disk; it is tried again later."
        raise ArchiveUnreachable(message, hint=hint) from error


def _open(place: S3Place) -> S3Store:
    named = {"endpoint": place.endpoint, "region": place.region}
    given = {name: value for name, value in named.items() if value}
    client: ClientConfig = {
        # Amazon's own endpoint is HTTPS; whoever names another one says which it is.
        "allow_http": True,
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=REQUEST_SECONDS),
    }
    return S3Store(
        place.bucket,
        prefix=place.prefix or None,
        config=given,  # type: ignore[arg-type]
        client_options=client,
        retry_config={
            "max_retries": place.retries_max,
            "retry_timeout": timedelta(seconds=REQUEST_SECONDS),
        },
    )


def _name(place: S3Place) -> str:
    return f"s3://{place.bucket}/{place.prefix}".rstrip("/")


def _first(error: Exception) -> str:
    """Return the sentence of an error, without what the library says for debugging."""
    return str(error).strip().partition("\n")[0][:300]
