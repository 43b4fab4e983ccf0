"""/config over real rooms: each setting changes what they do, in every process."""

import asyncio
import contextlib
import json
import sqlite3

import httpx

from cortex.bootstrap.process import build_edge
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.operations.configuration.model import Draft
from cortex.operations.configuration.store import RevisionStore
from cortex.settings import Loaded, Settings
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock
from cortex.usecases.configuration import FOLLOW_SECONDS

WAIT_SECONDS_MAX = 60


class Process:
    """One running process, asked over its edge."""

    def __init__(self, app, http, clock) -> None:
        self.app = app
        self.http = http
        self.clock = clock

    async def set(self, **values):
        answer = await self.http.patch("/config", json={"set": values})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def told(self, path):
        return (await self.http.get(path)).json()

    async def settings(self):
        found = (await self.told("/config"))["settings"]
        return {one["name"]: one for one in found}

    async def remember(self, text):
        items = {"items": [{"content": text}]}
        return (await self.http.post("/memory", json=items)).status_code


@contextlib.asynccontextmanager
async def process(home, sources=None, **given):
    clock = ManualClock()
    settings = Settings(home=home, fast_test=True, **given)
    app, edge = build_edge(Loaded(settings, sources or {}), clock=clock)
    transport = httpx.ASGITransport(edge.app)
    url = "http://127.0.0.1:4949"
    async with (
        app.running(),
        httpx.AsyncClient(transport=transport, base_url=url) as http,
    ):
        yield Process(app, http, clock)


CHANGEABLE = {
    "log_level",
    "rate_limit_per_minute",
    "default_ttl",
    "context_size_cap",
    "quotas.tokens",
    "quotas.embeddings",
    "quotas.bytes",
    "trace.enabled",
    "trace.ratio",
    "trace.slow_ms",
    "inference.power",
    "energy.alarm_watts",
}


async def until(done):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await done():
            await asyncio.sleep(0.01)


async def printed(capsys, text):
    """Return what the server has logged, once that is in it: lines come together."""
    found = ""

    async def there():
        nonlocal found
        found += capsys.readouterr().err
        return text in found

    await until(there)
    return found


async def test_each_setting_changes_what_the_server_does(tmp_path, capsys):
    async with process(tmp_path) as one:
        await one.set(log_level="error", trace={"enabled": False, "ratio": 1})
        capsys.readouterr()
        await one.told("/quotas")
        assert capsys.readouterr().err == ""
        await one.set(log_level="info")
        await one.told("/quotas")
        logged = await printed(capsys, '"route":"/quotas"')
        assert "trace_id" not in logged
        await one.set(trace={"enabled": True})
        await one.told("/quotas")
        await printed(capsys, "trace_id")

        await one.set(default_ttl=30, context_size_cap=2048)
        pack = await one.told("/state/snapshot")
        assert pack["ttl_seconds"] == 30
        assert len(json.dumps(pack)) <= 2048

        assert not (await one.told("/inference"))["power"]["low"]
        await one.set(inference={"power": "low"})
        assert (await one.told("/inference"))["power"]["low"]
        await one.set(inference={"power": "00:00-24:00"})
        power = (await one.told("/inference"))["power"]
        assert (power["mode"], power["hours"]) == ("schedule", "00:00-24:00")

        assert (await one.told("/alerts"))["alerts"] == []
        await one.set(energy={"alarm_watts": 1e-9})
        one.clock.advance(11)
        await one.app.use_cases.operations._watch.tick()
        [alert] = (await one.told("/alerts"))["alerts"]
        assert alert["name"] == "HighPower"
        assert "1e-09 W" in alert["summary"]

        assert await one.remember("the harbour opens at six") == 200
        await one.set(quotas={"embeddings": 1})
        assert await one.remember("the harbour closes at ten") == 429
        assert (await one.told("/quotas"))["quotas"]["embeddings"]["limit"] == 1

        await one.set(rate_limit_per_minute=77)
        answer = await one.http.get("/quotas")
        assert answer.headers["x-ratelimit-limit"] == "77"


async def test_layers_and_limits_are_told_and_no_secret(tmp_path):
    sources = {"default_ttl": "file", "signing_key": "environment"}
    key = "not-to-be-shown-0123456789"
    given = {"default_ttl": 60, "signing_key": key, "services": {"a": "http://u:pw@h/"}}
    async with process(tmp_path, sources, **given) as one:
        text = (await one.http.get("/config")).text
        found = await one.settings()
        assert found["default_ttl"]["source"] == "file"
        assert found["default_ttl"]["limits"] == {"minimum": 1, "maximum": 86400}
        assert found["log_level"]["limits"]["choices"][0] == "debug"
        assert found["energy.alarm_watts"]["limits"]["above"] == 0
        assert found["signing_key"]["source"] == "environment"
        assert found["signing_key"]["given"]
        assert found["signing_key"]["value"] is None
        assert not found["openai.api_key"]["given"]
        assert not any(s["value"] for s in found.values() if s["secret"])
        assert found["encryption.older_keys"]["value"] is None
        assert {n for n, one in found.items() if one["changeable"]} == CHANGEABLE
        assert key not in text
        assert "u:pw@" not in text
        await one.set(default_ttl=30)
        body = {"reset": ["default_ttl"]}
        [back] = (await one.http.patch("/config", json=body)).json()["changed"]
        assert (back["before"], back["after"]) == (30, 60)


REFUSED = [
    ({"rate_limit_per_minute": 0}, "rate_limit_per_minute", "1"),
    ({"trace": {"ratio": 2}}, "trace.ratio", "1"),
    ({"log_level": "loud"}, "log_level", "debug"),
    ({"log_level": True}, "log_level", "debug"),
    ({"trace": {"enabled": 1}}, "trace.enabled", "true or false"),
    ({"default_ttl": True}, "default_ttl", "truth"),
    ({"inference": {"power": "25:00-26:00"}}, "inference.power", "22:00-06:00"),
    ({"quotas": {"tokens": {"a": 1}}}, "quotas.tokens", "whole number"),
    ({"trace": 5}, "trace", "not a setting"),
    ({"port": 5000}, "port", "CORTEX_PORT and restart"),
    ({"signing_key": "x"}, "signing_key", "restart"),
    ({"loglevel": "info"}, "loglevel", "log_level"),
    ({"trace.ratio": 1, "trace": {"ratio": 1}}, "trace.ratio", "twice"),
]


async def test_a_refusal_names_field_and_limit_and_changes_nothing(tmp_path):
    async with process(tmp_path) as one:
        for values, field, says in REFUSED:
            body = {"set": {"default_ttl": 99, **values}}
            answer = await one.http.patch("/config", json=body)
            assert answer.status_code == 422, values
            assert answer.json()["error"]["field"] == field
            assert says in answer.json()["detail"]
        assert (await one.told("/config"))["revision"] == 0
        assert (await one.settings())["default_ttl"]["value"] == 120


async def test_another_process_follows_in_a_second_and_a_restart_forgets_nothing(
    tmp_path,
):
    async with process(tmp_path) as one, process(tmp_path) as other:
        await one.set(default_ttl=30)
        assert (await other.settings())["default_ttl"]["value"] == 120

        async def followed():
            other.clock.advance(FOLLOW_SECONDS)
            return (await other.told("/config"))["revision"] == 1

        await until(followed)
        assert (await other.told("/state/snapshot"))["ttl_seconds"] == 30
        both = await asyncio.gather(
            *(
                which.http.patch(
                    "/config",
                    json={"set": {"default_ttl": ttl}},
                    headers={"If-Match": '"1"'},
                )
                for which, ttl in ((one, 40), (other, 50))
            )
        )
        assert sorted(answer.status_code for answer in both) == [200, 412]
        won = 40 if both[0].status_code == 200 else 50
    async with process(tmp_path) as again:
        found = (await again.settings())["default_ttl"]
        assert (found["value"], found["source"]) == (won, "runtime")
        assert (await again.told("/state/snapshot"))["ttl_seconds"] == won


async def test_a_change_is_an_entry_of_the_ledger_with_its_reason(tmp_path):
    async with process(tmp_path) as one:
        body = {"set": {"default_ttl": 31}, "reason": "a shorter day"}
        await one.http.patch("/config", json=body)
        await one.http.post("/config/rollback", json={"reason": "a mistake"})

        async def kept():
            text = (await one.http.get("/audit/entries")).text
            return "config.changed" in text and "config.rolledback" in text

        await until(kept)
        text = (await one.http.get("/audit/entries")).text
    assert "a shorter day" in text
    assert "a mistake" in text
    assert "default_ttl" in text


async def test_what_was_stored_before_a_crash_is_in_force_after_it(tmp_path):
    async with process(tmp_path):
        pass
    clock = SystemClock()
    rooms = ("cortex.storage", "cortex.operations")
    database = Database(
        tmp_path / "cortex.db",
        clock=clock,
        migrations=tuple(m for room in rooms for m in load_migrations(room)),
    )
    await database.open()
    store = RevisionStore(database, clock=clock, ids=Uuid7Source(clock))
    await store.append(Draft({"default_ttl": 33}, (), "chief"), on=0)
    await database.close()
    async with process(tmp_path) as one:
        assert (await one.told("/state/snapshot"))["ttl_seconds"] == 33


async def test_a_layer_that_is_no_longer_valid_keeps_nobody_from_starting(
    tmp_path, capsys
):
    async with process(tmp_path) as one:
        await one.set(default_ttl=31)
    narrowed = '{"log_level": "loud", "port": 1, "default_ttl": 33}'
    for layer, named, ttl in ((narrowed, "log_level", 33), ("{not JSON", "*", 120)):
        with contextlib.closing(sqlite3.connect(tmp_path / "cortex.db")) as file:
            file.execute("UPDATE configuration_revisions SET layer = ?", (layer,))
            file.commit()
        capsys.readouterr()
        async with process(tmp_path) as one:
            assert '"stored setting ignored"' in capsys.readouterr().err
            assert named in (await one.told("/config"))["ignored"]
            assert (await one.settings())["default_ttl"]["value"] == ttl
            check = (await one.told("/healthz"))["checks"]["configuration"]
            assert check["status"] == "degraded"
            assert named in check["reason"]
            await one.set(default_ttl=34)
            check = (await one.told("/healthz"))["checks"]["configuration"]
            assert check["status"] == "ok"
