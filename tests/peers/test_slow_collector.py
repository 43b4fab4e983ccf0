"""A server whose OpenTelemetry collector answers without ever ending."""

import socket
import threading
import time

WAIT_SECONDS_MAX = 60.0
FIRST = "0af7651916cd43dd8448eb211c80319c"
SECOND = "1bf7651916cd43dd8448eb211c80319c"


def drip(listening: socket.socket, asked: threading.Event) -> None:
    """Take connections and send each a byte now and then, until closed."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        asked.set()
        try:
            while True:
                connection.sendall(b" ")
                time.sleep(0.5)
        except OSError:
            return


def test_an_answer_that_never_ends_costs_nothing_here(serve):
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening, asked))
        thread.start()
        port = listening.getsockname()[1]
        server = serve(
            CORTEX_TRACE__OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            CORTEX_TRACE__SLOW_MS="0",
            CORTEX_FAST_TEST="1",
        )
        for trace_id in (FIRST, SECOND):
            sent = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
            server.client.get("/memory/stats", headers=sent).raise_for_status()
            assert asked.wait(WAIT_SECONDS_MAX)
        until = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < until:
            kept = server.client.get(f"/performance/traces/{SECOND}")
            if kept.status_code == 200:
                break
            time.sleep(0.1)
        assert kept.status_code == 200
        assert server.stop() == 0
        thread.join()
