"""Multi pair: the books of many symbols in one stream, the newest of each now and then.

Teaches: `kraken.books` conflates by default: a slow reader is given the newest message of each symbol, never an old
one, and its statistics say how many it was spared. A `BookUpdate` carries the best bid and offer as of that message.
"""

import asyncio

from _source import run

from krakenwire import BookUpdate, Client

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "DOGE/USD", "PEPE/USD", "BTC/EUR", "ETH/BTC")
EVERY_SECONDS = 0.5


async def compare(kraken: Client) -> None:
    """Print a table of all symbols twice a second."""
    newest: dict[str, BookUpdate] = {}
    async with kraken.books(*SYMBOLS) as books:

        async def print_table() -> None:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                for symbol, update in sorted(newest.items()):
                    bid, ask = update.best_bid, update.best_ask
                    if bid and ask:
                        basis_points = (ask.price - bid.price) / bid.price * 10_000
                        print(f"{symbol:<9} {bid.price:>14f} {ask.price:>14f}  {basis_points:6.2f} bp")
                print(f"-- {books.statistics().conflated} messages were overtaken by newer ones")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(print_table())
            async for update in books:
                newest[update.symbol] = update


if __name__ == "__main__":
    run(compare, __doc__)
