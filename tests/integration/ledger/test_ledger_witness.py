"""A ledger and a witness together, without a network between them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Unavailable
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.cosignatures import Cosigner
from cortex.ledger.cosigning import WitnessClient
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import SystemEvent
from cortex.ledger.options import LedgerOptions
from cortex.ledger.policy import parse_policy
from cortex.ledger.verdicts import Reason, Verdict
from cortex.ledger.verify import Request
from cortex.ledger.witness import Witness

COSIGNER = Cosigner("w.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))


async def open_ledger(folder: Path) -> Ledger:
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    options = LedgerOptions(origin="log.example/audit", pins=folder / "pins")
    return await Ledger.open(folder / "home", context, options)


def client_of(witness: Witness) -> WitnessClient:
    async def post(body: bytes) -> tuple[int, bytes]:
        answer = witness.add_checkpoint(body)
        return answer.status, answer.body.encode()

    return WitnessClient([COSIGNER.verifier_key], post)


async def cosign(ledger: Ledger, client: WitnessClient) -> bool:
    signed = await client.cosign(
        ledger.checkpoint(), lambda old, new: ledger.consistency_proof(old, new).path
    )
    return await ledger.attach(signed)


async def test_a_policy_asks_for_a_witness_and_gets_one(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path)
    logs = {ledger.keys.origin: ledger.keys.verifier_keys}
    witness = Witness(tmp_path / "witness", COSIGNER, logs, SystemClock())
    key = COSIGNER.verifier_key.encode()
    policy = parse_policy(f"witness w {key}\nquorum w\n".encode())
    client = client_of(witness)

    for number in range(5):
        await ledger.append(SystemEvent(f"e{number}", "test"), published=True)
        before = await ledger.verify(Request(policy=policy))
        assert before.reason is Reason.WITNESSES_MISSING
        assert await cosign(ledger, client)
        after = await ledger.verify(Request(policy=policy))
        assert after.verdict is Verdict.INTACT
    # Who does not know where the witness is learns it from the witness.
    await ledger.append(SystemEvent("more", "test"), published=True)
    assert await cosign(ledger, client_of(witness))
    proof = ledger.inclusion_proof(0).receipt
    assert "w.example" in proof
    await ledger.close()


async def test_a_forked_log_gets_no_cosignature(tmp_path: Path) -> None:
    one = await open_ledger(tmp_path / "one")
    key = (tmp_path / "one/home/ledger/keys/signing.key").read_bytes()
    target = tmp_path / "two/home/ledger/keys/signing.key"
    target.parent.mkdir(parents=True)
    target.write_bytes(key)
    target.chmod(0o600)
    two = await open_ledger(tmp_path / "two")
    logs = {one.keys.origin: one.keys.verifier_keys}
    client = client_of(Witness(tmp_path / "w", COSIGNER, logs, SystemClock()))
    for number in range(4):
        await one.append(SystemEvent(f"one{number}", "test"), published=True)
        await two.append(SystemEvent(f"two{number}", "test"), published=True)
    await cosign(one, client)

    with pytest.raises(Unavailable):
        await cosign(two, client)
    await two.append(SystemEvent("more", "test"), published=True)
    with pytest.raises(Unavailable):
        await cosign(two, client)
    await one.close()
    await two.close()
