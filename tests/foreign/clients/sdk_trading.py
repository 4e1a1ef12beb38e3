"""python-kraken-sdk's signed WebSocket client, driven by lines of JSON; its endpoints are its own arguments.

Takes `{"call": name, "args": [...]}` on standard input and answers `{"answer": ...}`; tells every message that comes
over the private WebSocket as `{"message": ...}`.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from kraken.spot import SpotWSClient

from foreign.clients.rpc import serve, tell


async def note(message: dict[str, Any]) -> None:
    """Everything that comes."""
    tell({"message": message})


async def main() -> None:
    client = SpotWSClient(
        key=os.environ["KRAKEN_API_KEY"],
        secret=os.environ["KRAKEN_API_SECRET"],
        callback=note,
        no_public=True,
        rest_url=os.environ["KRAKEN_SPOT_URL"],
        auth_ws_url=os.environ["KRAKEN_WS_AUTH_URL"].removesuffix("/v2"),
    )

    async def answer(call: str, args: list[Any], options: dict[str, Any]) -> Any:
        return await getattr(client, call)(*args, **options)

    await client.start()
    await serve(answer)
    os._exit(0)  # its close() waits until a frame comes, up to ten seconds


if __name__ == "__main__":
    asyncio.run(main())
