"""Trade monitor: turnover per symbol, and an alert for each whale.

Teaches: many symbols in one stream; arithmetic on exact `Decimal`s; `on_loss="yield"`, by which a loss (a reader that
was too slow, a gap in Kraken's trade_ids) stands in the stream at its place instead of being raised.
"""

from collections import defaultdict
from decimal import Decimal

from _source import run

from krakenwire import Client, Loss

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "DOGE/USD")
WHALE = Decimal(50_000)  # US dollars
EVERY = 50  # trades between two lines about turnover


async def monitor(kraken: Client) -> None:
    """Alert for what is worth at least `WHALE`, and sum up the rest."""
    turnover: defaultdict[str, Decimal] = defaultdict(Decimal)
    seen = 0
    async with kraken.trades(*SYMBOLS, on_loss="yield") as trades:
        async for trade in trades:
            if isinstance(trade, Loss):
                print(f"LOSS   {trade}")
                continue
            value = trade.price * trade.qty
            turnover[trade.symbol] += value
            seen += 1
            if value >= WHALE:
                print(f"WHALE  {trade.symbol}  {trade.side}s {trade.qty} @ {trade.price} = {value:,.0f} USD")
            if seen % EVERY == 0:
                largest = sorted(turnover.items(), key=lambda item: item[1], reverse=True)
                print(f"{seen} trades: " + "  ".join(f"{symbol} {total:,.0f}" for symbol, total in largest))


if __name__ == "__main__":
    run(monitor, __doc__)
