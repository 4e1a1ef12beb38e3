"""python-kraken-sdk's own order book client, driven by lines of JSON; nothing of it is changed but its endpoints.

Takes `{"call": name, "args": [...]}` on standard input and answers `{"answer": ...}`. Besides the client's own methods
there is `count`: how many updates it was told, how many it found wrong, and the books it holds.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from kraken.spot import Market, SpotOrderBookClient

from foreign.clients.rpc import serve

updates: dict[str, int] = {}
errors: list[str] = []


def note(pair: str, message: dict[str, Any]) -> None:
    """What the client tells of a book: a message that it has applied, or that the checksum was wrong."""
    if "error" in message:
        errors.append(f"{pair}: {message['error']}")
    elif message["type"] == "update":
        updates[pair] = updates.get(pair, 0) + 1


async def main() -> None:
    # The endpoints: the client takes no argument for them.
    SpotOrderBookClient.WS_URL = os.environ["KRAKEN_WS_PUBLIC_URL"].removesuffix("/v2")
    SpotOrderBookClient.URL = Market.URL = os.environ["KRAKEN_SPOT_URL"]
    client = SpotOrderBookClient(depth=int(sys.argv[1]), callback=note)

    async def answer(call: str, args: list[Any], options: dict[str, Any]) -> Any:
        if call == "count":
            books = {pair: client.get(pair) for pair in args}
            return {"updates": updates, "errors": errors, "books": books, "failed": client.exception_occur}
        return await getattr(client, call)(*args, **options)

    await client.start()
    await serve(answer)
    os._exit(0)  # its close() waits until a frame comes, up to ten seconds


if __name__ == "__main__":
    asyncio.run(main())
