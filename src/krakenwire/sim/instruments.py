"""The default listing: instruments of different precisions, their assets, and how each market looks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from krakenwire.errors import UnknownSymbol

__all__ = ["ListedAsset", "ListedInstrument", "Listing", "default_assets", "default_listings", "select"]


class ListedAsset(msgspec.Struct, frozen=True, kw_only=True):
    """An asset, with the fields of the `instrument` channel (PROTOCOL 3.9); what is None is not sent."""

    id: str
    status: str = "enabled"
    precision: int
    precision_display: int
    borrowable: bool = False
    collateral_value: Decimal | None = None
    margin_rate: Decimal | None = None


class ListedInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """A pair, with the fields of the `instrument` channel (PROTOCOL 3.9); what is None is not sent."""

    symbol: str
    base: str
    quote: str
    status: str = "online"
    qty_precision: int
    qty_increment: Decimal
    price_precision: int
    cost_precision: int
    marginable: bool = False
    has_index: bool = True
    ws_display_price_precision: int | None = None
    cost_min: Decimal
    margin_initial: Decimal | None = None
    position_limit_long: int | None = None
    position_limit_short: int | None = None
    tick_size: Decimal
    price_increment: Decimal
    qty_min: Decimal


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument and how its simulated market looks.

    Attributes:
        instrument: what the `instrument` channel says of it.
        price: where it starts, and what it is pulled back to.
        size: the typical quantity of a level.
        levels: price levels a side, about; fewer than ten make a thin pair.
        gap: the typical distance of two levels, in ticks.
        weight: how often it moves, against the others.
    """

    instrument: ListedInstrument
    price: Decimal
    size: Decimal
    levels: int
    gap: int
    weight: int

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.instrument.symbol


def _listing(
    symbol: str,
    price_precision: int,
    qty_precision: int,
    *,
    price: str,
    size: str,
    levels: int,
    gap: int,
    weight: int,
    qty_min: str,
    cost_min: str = "0.5",
    cost_precision: int = 5,
    margin: tuple[str, int, int] | None = None,
) -> Listing:
    base, quote = symbol.split("/")
    tick = Decimal(1).scaleb(-price_precision)
    return Listing(
        instrument=ListedInstrument(
            symbol=symbol,
            base=base,
            quote=quote,
            qty_precision=qty_precision,
            qty_increment=Decimal(1).scaleb(-qty_precision),
            price_precision=price_precision,
            cost_precision=cost_precision,
            marginable=margin is not None,
            ws_display_price_precision=price_precision,
            cost_min=Decimal(cost_min),
            margin_initial=Decimal(margin[0]) if margin else None,
            position_limit_long=margin[1] if margin else None,
            position_limit_short=margin[2] if margin else None,
            tick_size=tick,
            price_increment=tick,
            qty_min=Decimal(qty_min),
        ),
        price=Decimal(price),
        size=Decimal(size),
        levels=levels,
        gap=gap,
        weight=weight,
    )


_LISTINGS = (
    _listing(
        "BTC/USD",
        1,
        8,
        price="64525.0",
        size="0.35",
        levels=1200,
        gap=6,
        weight=20,
        qty_min="0.00005",
        margin=("0.2", 250, 200),
    ),
    _listing(
        "ETH/USD",
        2,
        8,
        price="3027.80",
        size="4.2",
        levels=1200,
        gap=4,
        weight=16,
        qty_min="0.001",
        margin=("0.2", 2700, 1700),
    ),
    _listing(
        "SOL/USD",
        2,
        8,
        price="172.45",
        size="38",
        levels=1200,
        gap=2,
        weight=10,
        qty_min="0.02",
        margin=("0.25", 37000, 24000),
    ),
    _listing(
        "XRP/USD",
        5,
        8,
        price="2.31750",
        size="2900",
        levels=1200,
        gap=5,
        weight=9,
        qty_min="2",
        cost_precision=8,
        margin=("0.2", 2000000, 1200000),
    ),
    _listing(
        "DOGE/USD",
        7,
        8,
        price="0.1523400",
        size="41000",
        levels=1100,
        gap=9,
        weight=7,
        qty_min="13",
        cost_precision=9,
        margin=("0.2", 10700000, 6100000),
    ),
    _listing(
        "ADA/EUR",
        6,
        8,
        price="0.423150",
        size="9500",
        levels=500,
        gap=7,
        weight=4,
        qty_min="4.4",
        cost_min="0.45",
        cost_precision=6,
        margin=("0.33", 1200000, 410000),
    ),
    _listing(
        "LTC/USD",
        2,
        8,
        price="87.46",
        size="21",
        levels=400,
        gap=1,
        weight=4,
        qty_min="0.04",
        margin=("0.33", 9000, 6000),
    ),
    _listing(
        "BTC/EUR",
        1,
        8,
        price="59310.4",
        size="0.22",
        levels=1200,
        gap=8,
        weight=8,
        qty_min="0.00005",
        cost_min="0.45",
        margin=("0.2", 250, 200),
    ),
    _listing(
        "ETH/BTC",
        5,
        8,
        price="0.04692",
        size="3.1",
        levels=300,
        gap=1,
        weight=4,
        qty_min="0.001",
        cost_min="0.00002",
        cost_precision=10,
        margin=("0.2", 1000, 600),
    ),
    _listing("SHIB/USD", 8, 5, price="0.00002345", size="45000000", levels=300, gap=1, weight=4, qty_min="160000"),
    _listing(
        "PEPE/USD",
        9,
        5,
        price="0.000012345",
        size="60000000000",
        levels=400,
        gap=3,
        weight=4,
        qty_min="200000",
    ),
    _listing(
        "MINA/GBP",
        4,
        8,
        price="0.0294",
        size="5200",
        levels=7,
        gap=4,
        weight=1,
        qty_min="10",
        cost_min="0.43",
    ),
    _listing(
        "BTC/USDT",
        1,
        8,
        price="64541.3",
        size="0.18",
        levels=800,
        gap=9,
        weight=6,
        qty_min="0.00005",
        margin=("0.2", 180, 140),
    ),
    _listing(
        "ETH/USDT",
        2,
        8,
        price="3028.61",
        size="2.6",
        levels=700,
        gap=6,
        weight=5,
        qty_min="0.001",
        margin=("0.2", 1900, 1200),
    ),
    _listing(
        "BTC/USDC",
        2,
        8,
        price="64533.20",
        size="0.09",
        levels=400,
        gap=150,
        weight=4,
        qty_min="0.00005",
        margin=("0.2", 110, 90),
    ),
    _listing(
        "USDT/USD",
        5,
        8,
        price="0.99975",
        size="52000",
        levels=250,
        gap=1,
        weight=4,
        qty_min="5",
        margin=("0.5", 1800000, 1800000),
    ),
    _listing(
        "ETH/EUR",
        2,
        8,
        price="2783.14",
        size="2.1",
        levels=700,
        gap=5,
        weight=5,
        qty_min="0.001",
        cost_min="0.45",
        margin=("0.2", 2700, 1700),
    ),
    _listing(
        "BTC/GBP",
        1,
        8,
        price="50874.6",
        size="0.08",
        levels=300,
        gap=25,
        weight=2,
        qty_min="0.00005",
        cost_min="0.43",
        margin=("0.2", 90, 70),
    ),
    _listing(
        "LINK/EUR",
        5,
        8,
        price="16.84210",
        size="310",
        levels=300,
        gap=120,
        weight=2,
        qty_min="0.2",
        cost_min="0.45",
        margin=("0.33", 90000, 60000),
    ),
    _listing("BONK/USD", 8, 5, price="0.00002614", size="61000000", levels=200, gap=1, weight=2, qty_min="190000"),
)

_ASSETS = tuple(
    ListedAsset(
        id=name,
        precision=precision,
        precision_display=display,
        borrowable=margin_rate is not None,
        collateral_value=Decimal(collateral),
        margin_rate=None if margin_rate is None else Decimal(margin_rate),
    )
    for name, precision, display, collateral, margin_rate in (
        ("USD", 4, 2, "1.0", "0.025"),
        ("EUR", 4, 2, "1.0", "0.02"),
        ("GBP", 4, 2, "1.0", "0.02"),
        ("BTC", 10, 5, "1.0", "0.01"),
        ("ETH", 10, 5, "1.0", "0.02"),
        ("SOL", 10, 5, "0.9", "0.02"),
        ("XRP", 8, 5, "0.9", "0.02"),
        ("DOGE", 8, 2, "0.0", "0.02"),
        ("ADA", 8, 6, "0.9", "0.02"),
        ("LTC", 10, 5, "0.7", "0.02"),
        ("SHIB", 5, 0, "0.0", None),
        ("PEPE", 5, 0, "0.0", None),
        ("MINA", 10, 5, "0.0", "0.02"),
        ("USDT", 8, 4, "1.0", "0.02"),
        ("USDC", 8, 4, "1.0", "0.02"),
        ("LINK", 10, 5, "0.9", "0.02"),
        ("BONK", 5, 0, "0.0", None),
    )
)


def default_listings() -> tuple[Listing, ...]:
    """Twenty pairs, deep and thin, of one to nine decimals in the price; a cheap coin trades by 10^11."""
    return _LISTINGS


def default_assets() -> tuple[ListedAsset, ...]:
    """The assets that the default listing trades."""
    return _ASSETS


def select(symbols: Iterable[str]) -> tuple[Listing, ...]:
    """The default listings of `symbols`, in the order of the default listing.

    Raises:
        UnknownSymbol: the simulator does not list one of them; names the nearest ones.
    """
    wanted = set(symbols)
    known = [listing.symbol for listing in _LISTINGS]
    for symbol in sorted(wanted):
        if symbol not in known:
            raise UnknownSymbol(symbol, tuple(difflib.get_close_matches(symbol, known, n=5, cutoff=0.4)))
    return tuple(listing for listing in _LISTINGS if listing.symbol in wanted)
