"""ccxt's Kraken, REST and WebSocket, driven by lines of JSON; nothing of it is changed but its endpoints and CA file.

Takes `{"call": name, "args": [...]}` on standard input; answers `{"answer": ...}`, or `{"error": ..., "class": ...}`.
Besides the client's own methods there is `orderbook`: the book that it holds now.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import ccxt.pro

from foreign.clients.rpc import serve

ENV = os.environ


async def main() -> None:
    rest = ENV["KRAKEN_SPOT_URL"]
    exchange = ccxt.pro.kraken(
        {
            "apiKey": ENV["KRAKEN_API_KEY"],
            "secret": ENV["KRAKEN_API_SECRET"],
            "cafile": ENV["SSL_CERT_FILE"],
            "urls": {
                "api": {
                    "public": rest,
                    "private": rest,
                    "ws": {"publicV2": ENV["KRAKEN_WS_PUBLIC_URL"], "privateV2": ENV["KRAKEN_WS_AUTH_URL"]},
                }
            },
        }
    )

    async def answer(call: str, args: list[Any], options: dict[str, Any]) -> Any:
        if call == "orderbook":
            return exchange.orderbooks[args[0]].limit()
        return await getattr(exchange, call)(*args, **options)

    try:
        await serve(answer)
    finally:
        await exchange.close()


if __name__ == "__main__":
    asyncio.run(main())
