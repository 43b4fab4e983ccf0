"""The witnesses that the settings name, each asked over HTTP."""

from collections.abc import Mapping

import httpx

from cortex.foundation.errors import Unavailable
from cortex.ledger.cosigning import Post, WitnessClient
from cortex.ledger.keys import read_verifier_keys

WITNESS_SECONDS = 10.0
"""Wait for a witness, which writes to disk before it answers."""


def witness_clients(named: Mapping[str, str]) -> dict[str, WitnessClient]:
    """Return a client for each witness, by URL.

    Raises:
        KeyUnusable: a verifier key is malformed.
    """
    return {
        url: WitnessClient(read_verifier_keys(f"{key}\n".encode()), post_to(url))
        for url, key in named.items()
    }


def post_to(url: str) -> Post:
    """Return what carries add-checkpoint requests to a witness."""
    address = f"{url.rstrip('/')}/add-checkpoint"

    async def post(body: bytes) -> tuple[int, bytes]:
        try:
            async with httpx.AsyncClient(timeout=WITNESS_SECONDS) as client:
                answer = await client.post(address, content=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            message = f"the witness at {url} does not answer: {reason}"
            raise Unavailable(message) from error
        return answer.status_code, answer.content

    return post
