"""The ledger as the rest of Cortex uses it."""

import asyncio
import base64
import fcntl
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.foundation.errors import Conflict, NotFound, ValidationError
from cortex.foundation.ids import Uuid7Source
from cortex.ledger import merkle
from cortex.ledger.archive import Archive
from cortex.ledger.checkpoint import open_checkpoint
from cortex.ledger.errors import ContentForgotten, EntryNotFound, KeyUnusable
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import KEY_ROTATED, AgentCall, EntryQuery, SystemEvent
from cortex.ledger.notes import COSIGNATURE_ML_DSA_44
from cortex.ledger.objects import MemoryObjects
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.proof import verify_proof
from cortex.ledger.verdicts import Reason, Verdict
from cortex.ledger.verify import Request
from cortex.storage.errors import StorageBusy

START = 1_700_000_000.0
SECRET = "a sentence that must not be found again"
CALL = AgentCall(
    run_id="run-1",
    agent_name="planner",
    method_name="plan",
    prompt=SECRET,
    raw_output="an answer",
    correlation_id="correlation-1",
    parsed_data={"steps": [1, 2.5, "three"]},
    parse_ok=True,
    latency_ms=12.0,
    usage={"input_tokens": 10, "cost": 0.001},
)
Open = Callable[..., Awaitable[Ledger]]


class FakeClock:
    def __init__(self) -> None:
        self.seconds = START

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def opened(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Open]:
    ledgers: list[Ledger] = []

    async def get(
        options: LedgerOptions | None = None, archive: Archive | None = None
    ) -> Ledger:
        chosen = replace(options or LedgerOptions(), pins=tmp_path / "pins")
        context = LedgerContext(clock, Uuid7Source(clock), archive=archive)
        ledger = await Ledger.open(tmp_path / "home", context, chosen)
        ledgers.append(ledger)
        return ledger

    yield get
    for ledger in ledgers:
        await ledger.close()


def event(number: int, **more: str) -> SystemEvent:
    fields = {"kind": "memory.stored", "subject": f"memory:{number}", **more}
    return SystemEvent(id=f"event-{number}", data={"bytes": number}, **fields)


async def fill(ledger: Ledger, count: int, first: int = 0) -> None:
    await asyncio.gather(
        *(ledger.append(event(n)) for n in range(first, first + count))
    )


def bytes_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_call_is_recorded_and_proved(opened: Open, tmp_path: Path) -> None:
    ledger = await opened()

    receipt = await ledger.record(CALL, published=True)

    assert (receipt.run_id, receipt.index) == ("run-1", 0)
    assert receipt.recorded_at == "2023-11-14T22:13:20.000000Z"
    view = await ledger.reading.entry(0, "local")
    assert view.entry_hash == receipt.entry_hash
    assert view.data["usage"] == {"cost": 0.001, "input_tokens": 10}
    bundle = (tmp_path / "home/ledger/log/tile/entries/000.p/1").read_bytes()
    keys = ledger.keys.verifier_keys
    proof = verify_proof(receipt.proof.encode(), bundle[2:], ledger.keys.origin, keys)
    assert proof.checkpoint.size == 1


async def test_content_is_kept_apart_and_comes_back(
    opened: Open, tmp_path: Path
) -> None:
    ledger = await opened()
    await ledger.record(CALL, published=True)

    assert await ledger.reading.content(0, "local") == {
        "parsed_data": {"steps": [1, 2.5, "three"]},
        "prompt": SECRET,
        "raw_output": "an answer",
    }
    assert SECRET.encode() not in bytes_on_disk(tmp_path)


async def test_forgetting_leaves_every_proof_and_no_content(
    opened: Open, tmp_path: Path
) -> None:
    ledger = await opened()
    person = "someone@example.com"
    receipt = await ledger.record(replace(CALL, subject=person), published=True)
    await ledger.record(replace(CALL, subject="another"), published=True)
    key = (tmp_path / "home/ledger/subjects.keys").read_bytes()[:32]

    forgotten = await ledger.forget("local", person, actor="officer")

    with pytest.raises(ContentForgotten):
        await ledger.reading.content(0, "local")
    assert (await ledger.reading.content(1, "local"))["prompt"] == SECRET
    trace = await ledger.reading.entry(forgotten.index, "local")
    assert (trace.kind, trace.actor) == ("subject.forgotten", "officer")
    left = bytes_on_disk(tmp_path)
    assert key not in left
    assert person.encode() not in left
    assert (await ledger.verify(Request(deep=True))).verdict is Verdict.INTACT
    await ledger.publish()
    assert ledger.inclusion_proof(0).entry_hash == receipt.entry_hash
    with pytest.raises(NotFound):
        await ledger.forget("local", person, actor="officer")
    # The same person may come back, under another key.
    again = await ledger.record(replace(CALL, subject=person))
    assert (await ledger.reading.content(again.index, "local"))["prompt"] == SECRET


async def test_a_tenant_cannot_forget_or_read_for_another(opened: Open) -> None:
    ledger = await opened()
    await ledger.record(replace(CALL, tenant="a", subject="person"))

    with pytest.raises(NotFound):
        await ledger.forget("b", "person", actor="officer")
    for read in (ledger.reading.entry, ledger.reading.content):
        with pytest.raises(EntryNotFound):
            await read(0, "b")
    assert (await ledger.entries(EntryQuery(tenant="b"))).entries == ()
    assert (await ledger.stats("b")).total_entries == 0


async def test_an_event_is_recorded_once(opened: Open) -> None:
    ledger = await opened()
    first, second = await asyncio.gather(
        ledger.append(event(1)), ledger.append(event(1))
    )

    assert first == second
    assert (await ledger.stats("local")).total_entries == 1
    with pytest.raises(Conflict):
        await ledger.append(event(1, tenant="other"))


async def test_search_by_everything(opened: Open, clock: FakeClock) -> None:
    ledger = await opened()
    for number in range(20):
        clock.seconds = START + number
        await ledger.record(
            replace(
                CALL,
                run_id=f"run-{number % 2}",
                agent_name=f"agent-{number % 4}",
                correlation_id=f"c-{number % 5}",
                parse_ok=None if number % 3 == 2 else number % 3 == 0,
            )
        )
    await ledger.append(event(1, correlation_id="c-1"))

    async def found(**query: object) -> list[int]:
        page = await ledger.entries(EntryQuery(**query))  # type: ignore[arg-type]
        return [entry.index for entry in page.entries]

    assert await found(run_id="run-1", limit=3) == [19, 17, 15]
    assert await found(correlation_id="c-1") == [20, 16, 11, 6, 1]
    assert await found(correlation_id="c-1", agent_name="agent-1") == [1]
    assert await found(agent_name="agent-3", outcome="ok") == [15, 3]
    assert await found(outcome="failed", since=START + 10) == [19, 16, 13, 10]
    assert await found(since=START + 5, until=START + 8) == [7, 6, 5]
    assert await found(kind="memory.stored") == [20]
    assert await found(run_id="nobody") == []
    assert len(await found()) == 21
    with pytest.raises(ValidationError):
        await found(limit=0)


async def test_pages_cover_all_once(opened: Open) -> None:
    ledger = await opened()
    await fill(ledger, 30)
    seen: list[int] = []
    cursor: int | None = None
    while True:
        page = await ledger.entries(EntryQuery(limit=7, before=cursor))
        seen += [entry.index for entry in page.entries]
        cursor = page.next_before
        if cursor is None:
            break
    assert seen == list(range(29, -1, -1))


async def test_stats(opened: Open) -> None:
    ledger = await opened()
    assert (await ledger.stats("local")).success_rate is None
    for ok in (True, True, False, None):
        await ledger.record(replace(CALL, parse_ok=ok))
    await ledger.record(replace(CALL, agent_name="critic", latency_ms=None))
    await ledger.append(event(1))

    stats = await ledger.stats("local")

    assert (stats.total_entries, stats.calls) == (6, 5)
    assert stats.success_rate == 0.8
    assert stats.avg_latency_ms == 12.0
    assert stats.agents["planner"].calls == 4
    assert [view.index for view in await ledger.reading.recent_calls("local", 2)] == [
        4,
        3,
    ]


async def test_time_never_goes_back(opened: Open, clock: FakeClock) -> None:
    ledger = await opened()
    first = await ledger.append(event(1))
    clock.seconds -= 1000
    second = await ledger.append(event(2))

    assert second.recorded_at == first.recorded_at
    assert (await ledger.verify()).verdict is Verdict.INTACT


async def test_proofs_between_all_published_sizes(opened: Open) -> None:
    ledger = await opened()
    for _ in range(4):
        size = ledger.checkpoint().size
        await fill(ledger, 150, size)
        await ledger.publish()
    for old, new in ((1, 600), (150, 300), (256, 257), (255, 600), (600, 600)):
        proof = ledger.consistency_proof(old, new)
        roots = [base64.b64decode(root) for root in (proof.old_root, proof.new_root)]
        path = [base64.b64decode(item) for item in proof.path]
        merkle.verify_consistency(old, new, roots[0], roots[1], path)
    assert base64.b64decode(proof.new_root) == ledger.checkpoint().root
    with pytest.raises(EntryNotFound):
        ledger.consistency_proof(1, 601)
    with pytest.raises(EntryNotFound):
        ledger.inclusion_proof(600)


async def test_long_data_lies_beside_the_log(opened: Open) -> None:
    ledger = await opened()
    references = [f"memory:{number:040}" for number in range(2000)]
    receipt = await ledger.record(replace(CALL, context_refs=references))
    big = SystemEvent("big", "config.changed", data={"text": "x" * 100_000})
    other = await ledger.append(big, published=True)

    assert (await ledger.reading.content(other.index, "local"))["text"] == "x" * 100_000
    page = await ledger.entries(EntryQuery(run_id="run-1"))
    assert page.entries[0].entry_id == receipt.entry_id
    assert (await ledger.reading.content(receipt.index, "local"))["prompt"] == SECRET
    assert (await ledger.verify(Request(deep=True))).verdict is Verdict.INTACT


@pytest.mark.parametrize(
    "bad",
    [
        {"latency_ms": float("nan")},
        {"usage": {"n": 2**60}},
        {"prompt": "\ud800"},
        {"run_id": "\ud800"},
        {"parsed_data": {"n": 10**400}},
        {"parsed_data": {"n": float("inf")}},
        {"correlation_id": "x" * 70_000},
    ],
)
async def test_what_has_no_canonical_form_is_refused(
    opened: Open, bad: dict[str, object]
) -> None:
    ledger = await opened()

    with pytest.raises(ValidationError):
        await ledger.record(replace(CALL, **bad))  # type: ignore[arg-type]
    assert ledger.health().status == "ok"
    assert (await ledger.record(CALL)).index == 0


@pytest.mark.parametrize("number", [1e17, 5e-324, 1e22, -0.0, 2.0**53, 0.1])
async def test_every_number_json_has_is_kept_and_verified(
    opened: Open, number: float
) -> None:
    ledger = await opened()
    call = replace(CALL, usage={"n": number}, latency_ms=abs(number))
    await ledger.record(call, published=True)

    view = await ledger.reading.entry(0, "local")
    assert view.data["usage"] == {"n": number}
    assert (await ledger.verify(Request(deep=True))).verdict is Verdict.INTACT


async def test_entries_move_outwards_and_stay_provable(
    opened: Open, clock: FakeClock, tmp_path: Path
) -> None:
    objects = MemoryObjects()
    archive = Archive(objects)
    ledger = await opened(LedgerOptions(hot_seconds=100, warm_seconds=300), archive)
    await ledger.record(CALL)
    await fill(ledger, 699)
    await ledger.publish()
    root = ledger.checkpoint().root

    clock.seconds += 200
    moved = await ledger.upkeep.run()
    assert (moved.rotated, moved.archived) == (512, 0)
    clock.seconds += 200
    moved = await ledger.upkeep.run()
    assert (moved.rotated, moved.archived) == (0, 512)

    assert len(list(objects.keys("bundles/"))) == 2
    assert not (tmp_path / "home/ledger/log/tile/entries/000").exists()
    assert ledger.checkpoint().root == root
    assert (await ledger.reading.entry(3, "local")).subject == "memory:2"
    assert (await ledger.reading.content(0, "local"))["prompt"] == SECRET
    assert ledger.inclusion_proof(3).size == 700
    assert (await ledger.verify(Request(deep=True))).verdict is Verdict.INTACT
    paths, pinned = LedgerPaths.below(tmp_path / "home"), PinFolder(tmp_path / "pins")
    without = verify_folder(paths, pinned.read())
    assert without.verdict is Verdict.INCOMPLETE

    assert await ledger.upkeep.restore(0, 600) == 512
    assert verify_folder(paths, pinned.read()).verdict is Verdict.INTACT
    await fill(ledger, 10, 5000)
    await ledger.publish()
    assert (await ledger.verify()).size == 710


async def test_entries_move_out_by_size_too(opened: Open) -> None:
    ledger = await opened(LedgerOptions(hot_bytes_max=100_000))
    await fill(ledger, 1000)
    await ledger.publish()

    moved = await ledger.upkeep.run()

    assert moved.rotated in (512, 768)
    assert (await ledger.verify()).verdict is Verdict.INTACT


async def test_a_snapshot_spares_counting(opened: Open, tmp_path: Path) -> None:
    ledger = await opened(LedgerOptions(snapshot_entries=50))
    for number in range(60):
        await ledger.record(replace(CALL, agent_name=f"a{number % 3}"))
    await ledger.publish()
    assert (await ledger.upkeep.run()).snapshot == 60
    await ledger.record(CALL)
    expected = await ledger.stats("local")
    await ledger.close()

    again = await opened(LedgerOptions(snapshot_entries=50))
    assert await again.stats("local") == expected
    await again.close()
    state = tmp_path / "home/ledger/snapshots/60.json"
    state.write_bytes(state.read_bytes().replace(b"60", b"61"))
    distrusting = await opened(LedgerOptions(snapshot_entries=50))
    assert await distrusting.stats("local") == expected


async def test_the_task_publishes_by_itself(opened: Open) -> None:
    ledger = await opened(LedgerOptions(checkpoint_seconds=0.01))
    task = asyncio.ensure_future(ledger.run())
    await fill(ledger, 10)
    for _ in range(500):
        if ledger.checkpoint().size == 10:
            break
        await asyncio.sleep(0.01)
    task.cancel()

    assert ledger.checkpoint().size == 10
    assert ledger.health().published == 10


async def test_those_who_wait_for_a_checkpoint_share_it(opened: Open) -> None:
    ledger = await opened()
    receipts = await asyncio.gather(
        *(ledger.record(CALL, published=True) for _ in range(40))
    )

    assert len({receipt.index for receipt in receipts}) == 40
    assert all("\nindex " in receipt.proof for receipt in receipts)


async def test_two_processes_may_write_to_one_ledger(opened: Open) -> None:
    one, two = await opened(), await opened()
    for start in range(0, 300, 30):
        await asyncio.gather(fill(one, 15, start), fill(two, 15, start + 15))
        await asyncio.gather(one.publish(), two.publish())

    assert one.checkpoint().size == 300
    assert (await two.verify()).verdict is Verdict.INTACT
    assert (await one.stats("local")).total_entries == 300


async def test_a_key_is_rotated_with_overlap(opened: Open, tmp_path: Path) -> None:
    ledger = await opened()
    await ledger.record(CALL, published=True)
    old = ledger.keys.verifier_keys

    receipt = await ledger.rotation.begin(
        "operator", lambda event: ledger.append(event, published=True)
    )

    assert (await ledger.reading.entry(receipt.index, "local")).kind == KEY_ROTATED
    await ledger.append(event(1), published=True)
    new = ledger.keys.signers[0].verifier_key
    note = ledger.checkpoint().encode()
    assert open_checkpoint(note, ledger.keys.origin, old)
    assert open_checkpoint(note, ledger.keys.origin, [new])
    await ledger.rotation.end_overlap()
    await ledger.append(event(2), published=True)
    note = ledger.checkpoint().encode()
    assert open_checkpoint(note, ledger.keys.origin, [new])
    await ledger.close()
    again = await opened()
    assert again.health().status == "ok"
    assert (await again.verify()).verdict is Verdict.INTACT


async def test_heads_can_be_signed_against_quantum_computers(opened: Open) -> None:
    ledger = await opened(LedgerOptions(origin="log.example/a", post_quantum=True))
    await ledger.record(CALL, published=True)

    kinds = {key.kind for key in ledger.keys.verifier_keys}
    assert COSIGNATURE_ML_DSA_44 in kinds
    assert len(ledger.checkpoint().note.signatures) == 2
    assert (await ledger.verify()).verdict is Verdict.INTACT


async def test_an_origin_is_for_good(opened: Open) -> None:
    ledger = await opened(LedgerOptions(origin="log.example/a"))
    await ledger.close()

    with pytest.raises(KeyUnusable):
        await opened(LedgerOptions(origin="log.example/b"))


async def test_a_key_that_others_can_read_is_refused(
    opened: Open, tmp_path: Path
) -> None:
    ledger = await opened()
    await ledger.close()
    (tmp_path / "home/ledger/keys/signing.key").chmod(0o644)

    with pytest.raises(KeyUnusable):
        await opened()


async def test_an_empty_ledger_has_a_head(opened: Open) -> None:
    ledger = await opened()

    assert ledger.checkpoint().root == merkle.EMPTY_ROOT
    assert (await ledger.verify()).verdict is Verdict.INTACT
    with pytest.raises(EntryNotFound):
        ledger.inclusion_proof(0)


async def test_damaged_tiles_are_made_again_at_the_next_start(
    opened: Open, tmp_path: Path
) -> None:
    ledger = await opened()
    await fill(ledger, 300)
    await ledger.close()
    folder = tmp_path / "home/ledger/log/tile"
    for path in (folder / "0/001.p/44", folder / "entries/001.p/44"):
        path.write_bytes(path.read_bytes()[:5])
    (tmp_path / "home/ledger/log/checkpoint").write_bytes(b"")

    again = await opened()

    result = await again.verify()
    assert (result.verdict, result.recovered) == (Verdict.INTACT, ())
    assert again.checkpoint().size == 300


async def test_views_serialize_as_json(opened: Open) -> None:
    ledger = await opened()
    await ledger.record(CALL)

    assert json.dumps(dict((await ledger.reading.entry(0, "local")).data))


async def test_an_unusable_pin_checks_nothing(opened: Open, tmp_path: Path) -> None:
    ledger = await opened()
    (tmp_path / "pins" / "head").write_text("not a note")

    result = await ledger.verify()
    assert (result.verdict, result.reason) == (
        Verdict.UNCHECKABLE,
        Reason.PIN_UNUSABLE,
    )


async def test_the_same_id_twice_at_once_is_one_entry(opened: Open) -> None:
    ledger = await opened()

    answers = await asyncio.gather(
        ledger.append(event(1)),
        ledger.append(event(1)),
        ledger.append(event(2)),
        ledger.append(event(1, tenant="other")),
        ledger.append(event(2)),
        return_exceptions=True,
    )

    assert isinstance(answers[3], Conflict)
    receipts = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [receipt.index for receipt in receipts] == [0, 0, 1, 1]
    assert receipts[0] == receipts[1]
    assert ledger.health().size == 2


async def test_what_has_no_canonical_form_fails_alone(opened: Open) -> None:
    ledger = await opened()
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]

    answers = await asyncio.gather(
        ledger.record(CALL),
        ledger.record(replace(CALL, usage={"n": 2**60})),
        ledger.record(replace(CALL, usage={"deep": deep})),
        ledger.record(replace(CALL, prompt="\ud800")),
        ledger.record(CALL),
        return_exceptions=True,
    )

    wrong = [isinstance(answer, ValidationError) for answer in answers]
    assert wrong == [False, True, True, True, False], answers
    assert ledger.health() == replace(ledger.health(), status="ok", size=2)
    assert (await ledger.verify()).verdict is Verdict.INTACT


async def test_who_is_cancelled_while_taking_the_lock_does_not_keep_it(
    opened: Open,
) -> None:
    ledger = await opened()
    for number in range(20):
        await ledger.append(SystemEvent(f"event-{number}", "test.happened"))
        publishing = asyncio.create_task(ledger.publish())
        for _ in range(number % 4 + 1):
            await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
    async with asyncio.timeout(60):
        assert (await ledger.publish()).size == 20


async def test_who_is_cancelled_while_publishing_leaves_it_to_the_beat(
    opened: Open,
) -> None:
    ledger = await opened(LedgerOptions(checkpoint_seconds=0.01))
    descriptor = os.open(ledger.paths.lock, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    await ledger.append(event(1))
    publishing = asyncio.create_task(ledger.publish())
    await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.wait([publishing])
    os.close(descriptor)
    running = asyncio.create_task(ledger.run())
    async with asyncio.timeout(60):
        while ledger.health().published < 1:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])


async def test_an_entry_whose_caller_gave_up_is_published_all_the_same(
    opened: Open,
) -> None:
    ledger = await opened(LedgerOptions(checkpoint_seconds=0.01))
    running = asyncio.create_task(ledger.run())
    gate, begun = threading.Event(), threading.Event()

    def unit(_connection: object) -> None:
        begun.set()
        gate.wait(60)

    busy = asyncio.create_task(ledger._database.write(unit))
    await asyncio.to_thread(begun.wait, 60)
    asking = asyncio.create_task(ledger.append(event(1)))
    async with asyncio.timeout(60):
        while ledger._database.status().queued_units != 1:
            await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    gate.set()
    await busy
    async with asyncio.timeout(60):
        while ledger.health().published < 1:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])


async def cut_short_a_forget(
    ledger: Ledger, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forget a person whose request is cancelled behind its entry."""
    behind = asyncio.Event()

    async def hang() -> None:
        behind.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(ledger._appender, "finish_forgetting", hang)
        asking = asyncio.create_task(ledger.forget("local", person, actor="ops"))
        async with asyncio.timeout(60):
            await behind.wait()
        asking.cancel()
        await asyncio.wait([asking])


async def test_upkeep_finishes_a_forget_whose_caller_gave_up(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = await opened(), await opened()
    receipt = await ledger.record(replace(CALL, subject="quokka-person"))
    await cut_short_a_forget(ledger, "quokka-person", monkeypatch)
    assert b"quokka-person" in bytes_on_disk(tmp_path)
    # Another process of the same home, for the one that began may be gone.
    await other.upkeep.run()
    assert b"quokka-person" not in bytes_on_disk(tmp_path)
    with pytest.raises(ContentForgotten):
        await ledger.reading.content(receipt.index, "local")
    await ledger.upkeep.run()
    assert ledger.health().status == "ok"


async def test_repeating_a_forget_that_was_cut_short_finishes_it(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await opened()
    await ledger.record(replace(CALL, subject="quokka-person"))

    async def busy() -> None:
        message = "readers hold old pages"
        raise StorageBusy(message)

    with monkeypatch.context() as patch:
        patch.setattr(ledger._database, "scrub", busy)
        with pytest.raises(StorageBusy):
            await ledger.forget("local", "quokka-person", actor="ops")
    assert b"quokka-person" in bytes_on_disk(tmp_path)
    with pytest.raises(NotFound):
        await ledger.forget("local", "quokka-person", actor="ops")
    assert b"quokka-person" not in bytes_on_disk(tmp_path)
