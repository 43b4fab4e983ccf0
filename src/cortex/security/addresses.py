"""Which addresses of other services may be trusted with secrets; pure."""

import ipaddress
from urllib.parse import urlsplit

from cortex.foundation.errors import ValidationError


def require_secure(url: str, field: str) -> None:
    """Raise ``ValidationError`` unless the address is https, or http on this host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not secure:
        raise ValidationError(
            f"{url} is not an https address",
            hint="Without TLS anyone on the way could answer in its place.",
            field=field,
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host name means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
