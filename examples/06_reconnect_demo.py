"""Reconnect demo: cuts its own socket again and again, and shows how the client recovers.

Teaches: a disconnect is an event, not an exception. The book is withheld (`BookUnsynced`) from the moment its
connection is gone until a new snapshot has proven it; the client reconnects and subscribes again by itself.
"""

import asyncio

from _source import run

from krakenwire import BookInvalidated, BookResynced, BookUnsynced, Client, Connected, Disconnected


async def cut_and_watch(kraken: Client) -> None:
    """Cut the socket every second, and tell what happens."""
    async with kraken.book("BTC/USD") as book, kraken.lifecycle() as events:
        await book.synced()
        print(f"synced: the mid is {book.mid}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_cut(kraken))
            async for event in events:
                match event:
                    case Disconnected():
                        print(f"Disconnected: {event.reason}")
                        try:
                            print(f"the mid is {book.mid}")
                        except BookUnsynced as unsynced:
                            print(f"BookUnsynced: {unsynced}")
                    case BookInvalidated():
                        print(f"BookInvalidated: {event.symbol}: {event.reason}")
                    case Connected():
                        print(f"Connected: again after {(event.downtime_ns or 0) / 1e6:.1f} ms")
                    case BookResynced():
                        print(f"BookResynced: {event.symbol} after {event.took_ns / 1e6:.1f} ms; the mid is {book.mid}")


async def _cut(kraken: Client) -> None:
    while True:
        print("-- cutting the socket")
        kraken.drop_connections()
        await asyncio.sleep(1)


if __name__ == "__main__":
    run(cut_and_watch, __doc__)
