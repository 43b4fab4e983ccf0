"""The listening process: uvicorn with Cortex's way of stopping.

On the first SIGTERM or SIGINT the process says *draining* at once, goes on listening
for a moment so that load balancers and connections already accepted get an answer,
then closes its sockets, waits for the requests in flight and exits with status 0.
A second signal stops now.
"""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

LISTEN_WHILE_DRAINING_TICKS = 5
"""Tenths of a second between *draining* and closed sockets: one probe interval of a
fast load balancer, and time for what the kernel already accepted."""

KEEP_ALIVE_SECONDS = 65
"""Longer than the usual 60 s of proxies, so that they close first."""

BACKLOG_CONNECTIONS = 2048
"""Connections the kernel may hold for us while the loop is busy."""

LISTENERS = 8
"""Handles on the listening socket: the loop (libuv since 1.46) takes one connection for
each at a turn, and at one a turn hundreds that come together wait for many seconds.
More would make a connection that comes alone dearer: each handle looks for it (5 µs).
"""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """Uvicorn's server; stops politely and does not re-raise the signal."""

    def __init__(self, config: uvicorn.Config, on_drain: Callable[[], None]) -> None:
        """Take what to call, on the main thread, when draining begins."""
        super().__init__(config)
        self._on_drain = on_drain
        self._draining = False
        self._ticks_left = LISTEN_WHILE_DRAINING_TICKS

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; on a second call stop now."""
        del sig, frame
        if self._draining:
            self.should_exit = self.force_exit = True
            return
        self._draining = True
        self._on_drain()

    async def on_tick(self, counter: int) -> bool:
        """Tell uvicorn's loop, ten times a second, whether to stop listening."""
        if self._draining:
            self._ticks_left -= 1
            self.should_exit = self.should_exit or self._ticks_left <= 0
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the stop signals while serving; a clean stop stays clean."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # A worker's parent has it ignore Ctrl-C; that stays as it is.
        wanted = (s for s in _STOP_SIGNALS if signal.getsignal(s) != signal.SIG_IGN)
        before = {s: signal.signal(s, self.handle_exit) for s in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    Raises:
        OSError: the address is taken or not ours; the message names it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG_CONNECTIONS)
        bound.set_inheritable(True)
    except OSError as error:
        bound.close()
        reason = (error.strerror or str(error)).lower()
        message = (
            f"cannot listen on {host}:{port}: {reason}. "
            "Stop what listens there, or name another with --host or --port."
        )
        raise OSError(message) from error
    return bound


def listeners(bound: socket.socket) -> list[socket.socket]:
    """Return the socket and more handles on it, to be closed together."""
    return [bound, *(bound.dup() for _ in range(LISTENERS - 1))]
