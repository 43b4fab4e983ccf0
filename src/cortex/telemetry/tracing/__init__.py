"""Traces: what a request spent its time on, part by part.

A recorder of its own, compatible with OpenTelemetry in ids, names, propagation (W3C
Trace Context) and export (OTLP): every request is recorded whole, and whether it is
kept is decided when it has ended, so that errors and slow requests always are. The
OpenTelemetry SDK decides at the beginning, and a span of it costs several times as
much.
"""

from cortex.telemetry.tracing.spans import Span, current_traceparent, span, trace_ids

__all__ = ["Span", "current_traceparent", "span", "trace_ids"]
"""What instrumented code needs; ``tracer`` is for those who begin traces."""
