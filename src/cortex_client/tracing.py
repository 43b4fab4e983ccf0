"""W3C Trace Context: a request is a part of the caller's trace.

Where OpenTelemetry is used in this process, the running span goes along, with its
decision whether it is sampled. Otherwise each request begins a trace of its own, so
that it can be found again at the server; nothing is imported for that.
"""

import secrets
import sys
from typing import Any

_OPENTELEMETRY = "opentelemetry.trace"
_UNSAMPLED = "00"


def traceparent() -> str:
    """Return the header's value for one request."""
    running = _running()
    if running is not None:
        return running
    trace_id = secrets.token_hex(16)
    return f"00-{trace_id}-{secrets.token_hex(8)}-{_UNSAMPLED}"


def _running() -> str | None:
    """Return what OpenTelemetry says is running, if it is used here at all."""
    module: Any = sys.modules.get(_OPENTELEMETRY)
    if module is None:
        return None
    context = module.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    flags = int(context.trace_flags) & 1
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
