"""What must hold before a server may start with some settings."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.foundation.errors import ValidationError
from cortex.security.tokens import TokenRecord
from cortex.settings.described import is_secret_reference
from cortex.settings.errors import ConfigurationError
from cortex.telemetry.dsn import parse_dsn

if TYPE_CHECKING:
    from cortex.settings import Settings


def faults(settings: "Settings") -> Iterator[str]:
    """Yield what keeps any server from starting."""
    try:
        settings.token_records()
    except ValidationError as error:
        yield f"CORTEX_TOKENS: {error}"
    try:
        settings.signing_key_bytes()
    except ConfigurationError as error:
        yield str(error)
    dsn = settings.sentry_dsn
    if dsn is not None and not is_secret_reference(dsn.get_secret_value()):
        try:
            parse_dsn(dsn.get_secret_value())
        except ValidationError as error:
            yield str(error)


def production_faults(settings: "Settings") -> Iterator[str]:
    """Yield what is too weak for production."""
    key, file = settings.signing_key, settings.signing_key_file
    if key is None and file is None:
        yield (
            "CORTEX_ENV=production needs an explicit signing key "
            "(CORTEX_SIGNING_KEY or CORTEX_SIGNING_KEY_FILE)"
        )
    if not settings.has_credentials:
        yield (
            "CORTEX_ENV=production needs CORTEX_TOKENS, issuers or client "
            "certificates: nobody may call it otherwise"
        )
    elif any(not record.strong for record in _records(settings)):
        yield "CORTEX_ENV=production refuses tokens shorter than 16 characters"
    if key is None and file is not None and _open_to_others(file.expanduser()):
        yield f"the key file {file} is readable by everyone (chmod 600 {file})"


def _records(settings: "Settings") -> tuple[TokenRecord, ...]:
    try:
        return settings.token_records()
    except ValidationError:
        return ()


def _open_to_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IRWXO)
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
