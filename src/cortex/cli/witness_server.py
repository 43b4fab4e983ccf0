"""The process behind ``cortex witness``: its key, the logs it knows, its socket."""

from collections.abc import Sequence
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex.foundation.clock import SystemClock
from cortex.ledger.cosignatures import Cosigner
from cortex.ledger.errors import KeyUnusable
from cortex.ledger.files import create_file, read_file
from cortex.ledger.keys import SEED_BYTES, read_verifier_keys, system_entropy
from cortex.ledger.notes import VerifierKey, decode64, encode64
from cortex.ledger.witness import Witness
from cortex.service.http.server import Server, listen
from cortex.service.http.witness import witness_app
from cortex.settings import load

KEY = "witness.key"
_OTHERS = 0o077


def state_folder(given: Path | None) -> Path:
    """Return where the witness keeps its key and the heads it cosigned."""
    return given or load().settings.home_folder / "witness"


def cosigner_at(folder: Path, name: str) -> Cosigner:
    """Return the witness's own key, making it at the first start.

    Raises:
        KeyUnusable: the file is malformed, open to others, or of another name.
    """
    path = folder / KEY
    seed = encode64(system_entropy(SEED_BYTES))
    made = Cosigner(name, Ed25519PrivateKey.from_private_bytes(decode64(seed)))
    if create_file(path, f"{name}\n{seed}\n".encode()):
        return made
    if path.stat().st_mode & _OTHERS:
        message = f"{path} is open to others than its owner"
        raise KeyUnusable(message, hint=f"Run: chmod 600 {path}")
    kept, _, rest = (read_file(path) or b"").decode(errors="replace").partition("\n")
    if kept != name:
        message = f"the key in {path} signs as {kept!r}, not as {name!r}"
        raise KeyUnusable(message, hint="A witness keeps its name.")
    private = decode64(rest.removesuffix("\n"))
    if len(private) != SEED_BYTES:
        raise KeyUnusable(f"{path} holds no witness key")
    return Cosigner(name, Ed25519PrivateKey.from_private_bytes(private))


def known_logs(files: Sequence[Path]) -> dict[str, list[VerifierKey]]:
    """Return the keys of each origin that the files name.

    Raises:
        KeyUnusable: a file holds something else.
    """
    logs: dict[str, list[VerifierKey]] = {}
    for path in files:
        for key in read_verifier_keys(path.read_bytes()):
            logs.setdefault(key.name, []).append(key)
    return logs


def run_witness(folder: Path, cosigner: Cosigner, logs: Sequence[Path], at: str) -> int:
    """Answer at ``HOST:PORT`` until SIGTERM or Ctrl-C; return the exit code.

    Raises:
        OSError: the address is taken or not ours.
    """
    host, _, port = at.rpartition(":")
    witness = Witness(folder, cosigner, known_logs(logs), SystemClock())
    bound = listen(host.strip("[]"), int(port))
    config = uvicorn.Config(
        witness_app(witness), log_config=None, lifespan="off", server_header=False
    )
    print(f"http://{host}:{bound.getsockname()[1]}", flush=True)
    Server(config, lambda: None).run(sockets=[bound])
    return 0
