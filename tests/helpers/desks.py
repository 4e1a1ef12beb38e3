"""An exchange in memory on a clock that stands still, with traders of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from helpers.memoryclient import MemoryClient
from krakenwire.clock import ManualClock
from krakenwire.sim.accounts.accounts import Accounts
from krakenwire.sim.exchange import Exchange
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market

__all__ = ["Desk", "limit", "reports"]


class Desk:
    """An exchange of a few pairs, held still by its clock."""

    def __init__(
        self,
        accounts: Accounts | None = None,
        *,
        symbols: tuple[str, ...] = ("BTC/USD", "ETH/BTC", "ADA/EUR"),
        **options: Any,
    ) -> None:
        self.clock = ManualClock()
        market = Market(select(symbols), seed=1, start_ns=self.clock.now_ns())
        self.exchange = Exchange(market, accounts=accounts, clock=self.clock, **{"rate": 100, **options})

    def client(self) -> MemoryClient:
        """One that has just come in by the private door."""
        client = MemoryClient.connect(self.exchange, "auth")
        client.news()
        return client

    def token(self, account: str = "alice") -> str:
        """A fresh token of an account."""
        return self.exchange.accounts.issue_token(account, self.exchange.exchange_now_ns())

    def subscribed(self, *channels: str, account: str = "alice", **params: Any) -> tuple[MemoryClient, str]:
        """A client that has subscribed to private channels, and its token."""
        client, token = self.client(), self.token(account)
        for channel in channels:
            client.ask("subscribe", channel=channel, token=token, **params)
        client.news()
        return client, token

    def price(self, side: str, symbol: str = "BTC/USD") -> Decimal:
        """The best bid or ask."""
        bids, asks = self.exchange.truth(symbol, 1)
        return Decimal((bids if side == "bid" else asks)[0][0])


def limit(token: str, side: str, qty: str, price: Decimal | str, **more: Any) -> dict[str, Any]:
    """Parameters of a limit order of BTC/USD."""
    return {
        "token": token,
        "order_type": "limit",
        "side": side,
        "symbol": "BTC/USD",
        "order_qty": Decimal(qty),
        "limit_price": Decimal(price),
        **more,
    }


def reports(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The execution reports among messages."""
    return [report for each in messages if each.get("channel") == "executions" for report in each["data"]]
