"""Which language model plans and reflects, from the settings; none unless named."""

import secrets
from collections.abc import Callable
from pathlib import Path

from cortex.foundation.breaker import Breaker
from cortex.foundation.clock import Clock
from cortex.foundation.errors import ValidationError
from cortex.inference.backends.anthropic_chat import BASE_URL, AnthropicChat
from cortex.inference.backends.chat import ChatOptions
from cortex.inference.backends.llama import LlamaChat, LlamaOptions
from cortex.inference.backends.openai_chat import OpenAiChat
from cortex.inference.generation import Generation, GenerationOptions
from cortex.inference.language import LanguageBackend, ModelCall
from cortex.inference.ports import TokenCounters
from cortex.settings import Settings
from cortex.settings.language import LanguageProvider, Llm
from cortex.telemetry.metrics import Metrics

OPENAI_URL = "https://api.openai.com/v1"
LOCAL_KEY_BYTES = 24


def open_language(
    settings: Settings, counters: TokenCounters, clock: Clock, metrics: Metrics
) -> Generation | None:
    """Return the language model; None when none is named. Nothing is loaded yet.

    Raises:
        ValidationError: the settings lack what the provider needs.
        ModelUnusable: the local model or its library is not installed.
    """
    wanted = settings.llm
    if wanted.provider is LanguageProvider.NONE:
        return None
    backend = _backend(wanted)

    def count(text: str) -> int:
        return counters.for_model(backend.info.model).count(text)

    return Generation(
        backend,
        breaker=Breaker(clock),
        clock=clock,
        count_tokens=count,
        options=GenerationOptions(observe=_observer(metrics)),
    )


def _backend(wanted: Llm) -> LanguageBackend:
    if wanted.provider is LanguageProvider.LOCAL:
        path = Path(wanted.model).expanduser() if wanted.model else None
        return LlamaChat(LlamaOptions(secrets.token_urlsafe(LOCAL_KEY_BYTES), path))
    if not wanted.model:
        message = f"the language provider {wanted.provider.value} needs a model's name"
        hint = "Set CORTEX_LLM__MODEL."
        raise ValidationError(message, hint=hint, field="llm.model")
    key = "" if wanted.api_key is None else wanted.api_key.get_secret_value()
    anthropic = wanted.provider is LanguageProvider.ANTHROPIC
    url = wanted.url or (BASE_URL if anthropic else OPENAI_URL)
    options = ChatOptions(wanted.model, url.rstrip("/"), key)
    return AnthropicChat(options) if anthropic else OpenAiChat(options)


def _observer(metrics: Metrics) -> Callable[[ModelCall], None]:
    def observe(call: ModelCall) -> None:
        metrics.model_call(call.info.provider, call.outcome, call.seconds)
        metrics.model_tokens("prompt", call.usage.prompt_tokens)
        metrics.model_tokens("completion", call.usage.completion_tokens)

    return observe
