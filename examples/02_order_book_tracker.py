"""Order book tracker: one live book, and what derives from it.

Teaches: `kraken.book` gives a book that keeps itself up to date. Its top ten is proven by Kraken's checksum after every
message; while it is not proven, reading it raises `BookUnsynced`, so a wrong price is never shown.
"""

from _source import run

from krakenwire import BookUnsynced, Client


async def track(kraken: Client) -> None:
    """Print the best bid and offer, and some figures, whenever the best bid or offer has changed."""
    async with kraken.book("BTC/USD", depth=100) as book:
        await book.synced()
        shown = None
        while True:
            try:
                bid, ask = book.best_bid, book.best_ask
                if bid and ask and (bid, ask) != shown:
                    shown = (bid, ask)
                    print(
                        f"{bid.qty} @ {bid.price} | {ask.price} @ {ask.qty}  "
                        f"spread {book.spread}  mid {book.mid}  imbalance {book.imbalance(10):+.2f}  "
                        f"one bitcoin costs {book.vwap('buy', 1):.2f}  checksum {book.checksum}"
                    )
            except BookUnsynced as unsynced:
                print(f"waiting: {unsynced.reason}")
                await book.synced()
            await book.changed()


if __name__ == "__main__":
    run(track, __doc__)
