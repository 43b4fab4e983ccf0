"""Clients that adapters share: one for threads, one for each event loop."""

import asyncio
import gc
import threading
import warnings

from cortex_client.calls import operations
from cortex_client.integrations.link import Link, as_query


def script():
    answer = yield operations.ready()
    return answer.ready


def test_loops_that_ended_leave_nothing_behind(server_url):
    link = Link(server_url, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # these loops never close
        for _ in range(20):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(link.arun(script())) is True
            loop.close()
        assert len(link._of_loop) == 1
        del loop
        link._of_loop.clear()
        gc.collect()


def test_threads_share_one_client(server_url):
    link = Link(server_url, {})
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(link.run(script())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 8
    link.close()
    assert link.run(script()) is True  # closed is not the end
    link.close()


def test_a_query_keeps_what_was_said_last():
    assert as_query(" tea ") == "tea"
    long = as_query("old " * 5_000 + "new")
    assert long.endswith("old new")
    assert len(long) <= 10_000
    wide = as_query("☕" * 9_000)
    assert len(wide.encode()) <= 10_240
    assert set(wide) == {"☕"}
