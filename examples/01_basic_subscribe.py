"""Basic subscribe: the trades of two symbols, as they happen.

Teaches: a stream is a context manager, subscribed at entry and released at exit, and an async iterator of typed,
frozen events. Prices and quantities are exact `Decimal`s.
"""

from _source import run

from krakenwire import Client


async def print_trades(kraken: Client) -> None:
    """Print each trade."""
    async with kraken.trades("BTC/USD", "ETH/USD") as trades:
        async for trade in trades:
            print(f"{trade.symbol}  {trade.side:<4}  {trade.qty} @ {trade.price}  = {trade.qty * trade.price:,.2f}")


if __name__ == "__main__":
    run(print_trades, __doc__)
