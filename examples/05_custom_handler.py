"""Custom handler: several kinds of events in one stream, each to its own method.

Teaches: `kraken.stream` is the one ordered primitive: several channels in the order of arrival. `match` tells the
events apart by their class, and a type checker knows the fields of each.
"""

from collections import Counter

from _source import run

from krakenwire import BookUpdate, Client, Event, Ohlc, Ticker, Trade


class Handler:
    """Counts everything, and speaks of what it finds remarkable."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def handle(self, event: Event) -> None:
        """Give `event` to the method for its kind."""
        self.counts[type(event).__name__] += 1
        match event:
            case BookUpdate():
                self.on_book(event)
            case Trade(source="live"):
                self.on_trade(event)
            case Ticker(type="update"):
                print(f"ticker  {event.symbol}  last {event.last}  {event.change_pct}% in 24 h")
            case Ohlc(type="update"):
                print(f"candle  {event.symbol}  {event.open} to {event.close}, {event.trades} trades")

    def on_book(self, update: BookUpdate) -> None:
        """Big messages only."""
        levels = len(update.bids) + len(update.asks)
        if update.type == "snapshot" or levels > 5:
            print(f"book    {update.symbol}  {update.type} of {levels} levels, {update.outcome}")

    def on_trade(self, trade: Trade) -> None:
        """Every trade."""
        print(f"trade   {trade.symbol}  {trade.side} {trade.qty} @ {trade.price}")


async def handle_all(kraken: Client) -> None:
    """Feed everything to the handler, and sum up at the end."""
    handler = Handler()
    try:
        async with kraken.stream("book", "trade", "ticker", "ohlc", symbols=["BTC/USD", "MINA/GBP"]) as events:
            async for event in events:
                handler.handle(event)
    finally:
        print(", ".join(f"{count} {kind}" for kind, count in handler.counts.most_common()))


if __name__ == "__main__":
    run(handle_all, __doc__)
