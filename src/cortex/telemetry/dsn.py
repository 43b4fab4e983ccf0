"""The address of a Sentry project, which holds the key that lets events in."""

import re
from dataclasses import dataclass, field
from typing import Final

from cortex.foundation.errors import ValidationError

_DSN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<key>[\w-]+)(:[\w-]*)?@"
    r"(?P<host>([\w.-]+|\[[\da-fA-F:.]+\])(:\d{1,5})?)"
    r"(?P<path>(/[\w.~-]+)*)/(?P<project>[\w-]+)/?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Dsn:
    """Where envelopes go, and the public key that goes with them."""

    url: str
    key: str = field(repr=False)


def parse_dsn(text: str) -> Dsn:
    """Return the parts of ``https://KEY@HOST/PATH/PROJECT``.

    Raises:
        ValidationError: it is no such address; the message does not repeat it.
    """
    found = _DSN.fullmatch(text.strip())
    if found is None:
        message = "CORTEX_SENTRY_DSN must be like https://KEY@HOST/PROJECT"
        raise ValidationError(message, hint="Copy it from the project's settings.")
    base = f"{found['scheme']}://{found['host']}{found['path']}"
    return Dsn(f"{base}/api/{found['project']}/envelope/", found["key"])
