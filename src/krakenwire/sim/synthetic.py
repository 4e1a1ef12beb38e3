"""A listing of any size, for what must be seen with hundreds of symbols: made-up pairs, each as deep as wanted."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from krakenwire.errors import UsageError

from .instruments import ListedAsset, ListedInstrument, Listing, default_assets

__all__ = ["MOST_LISTINGS", "synthetic", "synthetic_assets"]

MOST_LISTINGS = 10_000


def synthetic(count: int, seed: int = 0, *, levels: int = 1100) -> tuple[Listing, ...]:
    """So many pairs against USD, `S0000/USD` and on, of one to eight decimals in the price.

    Args:
        count: how many.
        seed: of their prices and precisions.
        levels: of each side, about.

    Raises:
        UsageError: `count` is not from 1 to 10,000, or `levels` is less than 1.
    """
    if not 1 <= count <= MOST_LISTINGS or levels < 1:
        raise UsageError(f"expected 1 to {MOST_LISTINGS} listings and at least one level, got {count=} and {levels=}")
    return tuple(_listing(number, Random(f"{seed} listing {number}"), levels) for number in range(count))


def synthetic_assets(count: int) -> tuple[ListedAsset, ...]:
    """The assets that `synthetic` trades."""
    made = (ListedAsset(id=_base(number), precision=8, precision_display=5) for number in range(count))
    return (*(asset for asset in default_assets() if asset.id == "USD"), *made)


def _base(number: int) -> str:
    return f"S{number:04}"


def _listing(number: int, random: Random, levels: int) -> Listing:
    base = _base(number)
    decimals = random.randint(1, 8)
    tick = Decimal(1).scaleb(-decimals)
    ticks = random.randint(200_000, 900_000)
    return Listing(
        instrument=ListedInstrument(
            symbol=f"{base}/USD",
            base=base,
            quote="USD",
            qty_precision=8,
            qty_increment=Decimal(1).scaleb(-8),
            price_precision=decimals,
            cost_precision=5,
            cost_min=Decimal("0.5"),
            tick_size=tick,
            price_increment=tick,
            qty_min=Decimal("0.00005"),
        ),
        price=ticks * tick,
        size=Decimal(random.randint(1, 5000)) / 100,
        levels=levels,
        gap=random.randint(1, 9),
        weight=random.randint(1, 20),
    )
