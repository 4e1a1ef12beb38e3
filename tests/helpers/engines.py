"""A small exchange to test the matching engine with: two pairs of short numbers, and orders in few words."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from krakenwire.sim.engine.book import Resting
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import Account, AddOrder, FeeTier, Report
from krakenwire.sim.instruments import ListedAsset, ListedInstrument, Listing

__all__ = [
    "ASSETS",
    "COIN",
    "LISTINGS",
    "START_NS",
    "TOKEN",
    "alice_and_bob",
    "encode",
    "engine_with",
    "limit",
    "market",
    "quote",
    "types",
]

START_NS = 1_767_225_600_000_000_000
COIN = "COIN/USD"
TOKEN = "TOKEN/USD"

ASSETS = (
    ListedAsset(id="USD", precision=2, precision_display=2),
    ListedAsset(id="COIN", precision=4, precision_display=2),
    ListedAsset(id="TOKEN", precision=0, precision_display=0),
)


def _listing(symbol: str, price_precision: int, qty_precision: int, qty_min: str) -> Listing:
    base, quote_asset = symbol.split("/")
    tick, lot = Decimal(1).scaleb(-price_precision), Decimal(1).scaleb(-qty_precision)
    return Listing(
        instrument=ListedInstrument(
            symbol=symbol,
            base=base,
            quote=quote_asset,
            qty_precision=qty_precision,
            qty_increment=lot,
            price_precision=price_precision,
            cost_precision=3,
            cost_min=Decimal("0.5"),
            tick_size=tick,
            price_increment=tick,
            qty_min=Decimal(qty_min),
        ),
        price=Decimal(100),
        size=Decimal(1),
        levels=10,
        gap=1,
        weight=1,
    )


LISTINGS = (_listing(COIN, 1, 2, "0.02"), _listing(TOKEN, 2, 1, "1"))


def alice_and_bob(funds: str = "10000", *, max_open_orders: int = 80, fees: FeeTier | None = None) -> list[Account]:
    """Two accounts that hold as much of everything."""
    return [
        Account(
            name=name,
            funds={asset.id: Decimal(funds) for asset in ASSETS},
            fees=fees or FeeTier(maker=Decimal("0.0025"), taker=Decimal("0.004")),
            max_open_orders=max_open_orders,
        )
        for name in ("alice", "bob")
    ]


def engine_with(accounts: Iterable[Account] | None = None, *, seed: int = 7) -> Engine:
    """An engine with two pairs and empty books."""
    return Engine(
        LISTINGS,
        ASSETS,
        seed=seed,
        start_ns=START_NS,
        accounts=alice_and_bob() if accounts is None else accounts,
    )


def quote(engine: Engine, side: Literal["buy", "sell"], price: str, qty: str, symbol: str = COIN) -> Resting:
    """Let the background rest an order; it must not cross."""
    book, instrument = engine.books[symbol], engine.instrument(symbol)
    tick = int(Decimal(price).scaleb(instrument.price_precision))
    lots = int(Decimal(qty).scaleb(instrument.qty_precision))
    is_buy = side == "buy"
    order = Resting(engine.next_number(), None, is_buy, -tick if is_buy else tick, lots, engine.now_ns)
    assert not book.crosses(is_buy, order.key)
    book.begin(engine.now_ns)
    book.place(order)
    return order


def limit(side: Literal["buy", "sell"], price: str, qty: str, **fields: object) -> AddOrder:
    """A limit order on COIN/USD, or as `fields` say."""
    return _order(side, "limit", qty, {"limit_price": Decimal(price), **fields})


def market(side: Literal["buy", "sell"], qty: str, **fields: object) -> AddOrder:
    """A market order on COIN/USD, or as `fields` say."""
    return _order(side, "market", qty, fields)


def _order(side: str, order_type: str, qty: str, fields: dict[str, object]) -> AddOrder:
    known = {"symbol": COIN, "side": side, "order_type": order_type, "order_qty": Decimal(qty), **fields}
    return msgspec.convert(known, AddOrder)


def types(reports: Iterable[Report], account: str | None = None) -> list[str]:
    """The kinds of reports, of one account if named."""
    return [each.exec_type for each in reports if account in {None, each.order.account}]


def encode(*things: object) -> bytes:
    """What things are, byte for byte."""
    return msgspec.json.encode(things)
