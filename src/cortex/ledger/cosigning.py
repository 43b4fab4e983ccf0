"""Asks witnesses to cosign heads, whatever carries the request."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError, Unavailable
from cortex.ledger.checkpoint import SIZE_MAX, SignedCheckpoint
from cortex.ledger.log import Ledger
from cortex.ledger.notes import VerifierKey, decode64
from cortex.ledger.witness import cosigned, request_for

POST_TRIES_MAX = 3
"""Requests for one head: the witness may be elsewhere, once, and busy, once."""

ASK_SECONDS = 1.0
"""Between two looks whether there is a new head to cosign."""

RETRY_SECONDS_MAX = 60.0
"""Longest pause before a witness that does not sign is asked again."""

OK = 200
CONFLICT = 409

Post = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""Send an add-checkpoint body; return the HTTP status and the answer's body."""

Prove = Callable[[int, int], Sequence[str]]
"""Give the consistency proof between two published sizes, base64."""

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n?")


@dataclass(slots=True)
class WitnessClient:
    """One witness, as a log sees it.

    Attributes:
        keys: the witness's keys; other signatures in its answers are ignored.
        post: carries requests to it.
        size: where the witness was last, by its own word.
    """

    keys: Sequence[VerifierKey]
    post: Post
    size: int = 0

    async def cosign(self, signed: SignedCheckpoint, prove: Prove) -> SignedCheckpoint:
        """Return the head with the witness's signatures added.

        Raises:
            Unavailable: the witness did not sign; the message says why.
            NoteInvalid: it answered with something else than its signature.
        """
        answer = b""
        for _ in range(POST_TRIES_MAX):
            proof = self._proof(signed, prove)
            status, answer = await self.post(request_for(signed, self.size, proof))
            if status == OK:
                self.size = signed.size
                return cosigned(signed, answer, self.keys)
            match = _SIZE.fullmatch(answer)
            if status != CONFLICT or match is None or int(match[1]) > SIZE_MAX:
                break
            if int(match[1]) == self.size:
                # It holds another tree of this size: that is for people to look at.
                message = "the witness cosigned another tree of the same size"
                raise Unavailable(message, size=self.size)
            self.size = int(match[1])
        text = answer[:200].decode("utf-8", "replace").strip()
        raise Unavailable(f"the witness did not cosign: {text}")

    def _proof(self, signed: SignedCheckpoint, prove: Prove) -> list[bytes]:
        if self.size > signed.size:
            message = f"the witness is at {self.size}, beyond this head"
            raise Unavailable(message, size=self.size)
        if self.size in (0, signed.size):
            return []
        return [decode64(item) for item in prove(self.size, signed.size)]


class Cosigning:
    """Has one witness cosign each head that it finds, beside everything else.

    Attributes:
        witness: who is asked.
        fault: why it does not sign; empty while it does.
    """

    def __init__(self, ledger: Ledger, witness: WitnessClient, clock: Clock) -> None:
        """Take the ledger, the witness, and the time."""
        self._ledger = ledger
        self._clock = clock
        self._signed = 0
        self.witness = witness
        self.fault = ""

    async def run(self) -> None:
        """Go on for ever; a witness that fails is asked less and less often."""
        wait = ASK_SECONDS
        while True:
            await self._clock.sleep(wait)
            try:
                await self.ask()
            except (CortexError, OSError) as error:
                self.fault = str(error)
                wait = min(wait * 2, RETRY_SECONDS_MAX)
            else:
                wait = ASK_SECONDS

    async def ask(self) -> bool:
        """Have the newest head cosigned unless it is; return whether it was asked.

        Raises:
            CortexError: there is no head, or the witness did not sign it.
            OSError: it cannot be reached.
        """
        signed = self._ledger.checkpoint()
        if signed.size == self._signed:
            return False
        done = await self.witness.cosign(
            signed, lambda old, new: self._ledger.consistency_proof(old, new).path
        )
        await self._ledger.attach(done)
        self._signed, self.fault = signed.size, ""
        return True
