"""What models take of the server's machine, and changing it."""

from typing import Unpack

from cortex_client.call import Answer, Call, Traced, traced
from cortex_client.wire import Json


def inference_status(**options: Unpack[Traced]) -> Call[Json]:
    """Return power, worker processes, memory of models, and housekeeping."""
    headers = traced(options.get("correlation_id"))
    return Call("GET", "/inference", _object, headers=headers)


def warm_model(name: str = "", **options: Unpack[Traced]) -> Call[Json]:
    """Load a model now; an empty name is the active one."""
    headers = traced(options.get("correlation_id"))
    body = {"model": name}
    return Call("POST", "/models/warm", _object, body=body, headers=headers)


def set_power(mode: str, reason: str = "", **options: Unpack[Traced]) -> Call[Json]:
    """Save power (``low``), stop saving it (``normal``) or follow the ``schedule``."""
    headers = traced(options.get("correlation_id"))
    body = {"mode": mode, "reason": reason}
    return Call("PUT", "/inference/power", _object, body=body, headers=headers)


def scale_workers(replicas: int, reason: str, **options: Unpack[Traced]) -> Call[Json]:
    """Start or stop worker processes; returns once the new ones work."""
    headers = traced(options.get("correlation_id"))
    body = {"replicas": replicas, "reason": reason}
    return Call("PUT", "/inference/workers", _object, body=body, headers=headers)


def _object(answer: Answer) -> Json:
    return answer.body if isinstance(answer.body, dict) else {}
