"""Listings of any size: made-up pairs that trade like the others."""

from __future__ import annotations

import pytest

from helpers.simclients import NaiveBook
from krakenwire.errors import UsageError
from krakenwire.sim.feed.feed import Stream
from krakenwire.sim.market.market import Market
from krakenwire.sim.source import MarketSource
from krakenwire.sim.synthetic import synthetic, synthetic_assets


def test_there_are_as_many_as_wanted_each_of_its_own_kind() -> None:
    listings = synthetic(500, seed=1)
    assert len({listing.symbol for listing in listings}) == 500
    assert {listing.instrument.price_precision for listing in listings} == set(range(1, 9))
    assert all(listing.price % listing.instrument.tick_size == 0 for listing in listings)
    assert {asset.id for asset in synthetic_assets(3)} == {"USD", "S0000", "S0001", "S0002"}


def test_same_seed_gives_the_same_and_another_seed_another() -> None:
    assert synthetic(20, seed=4) == synthetic(20, seed=4) != synthetic(20, seed=5)
    assert synthetic(10, seed=4) == synthetic(20, seed=4)[:10]


def test_they_trade_and_their_checksums_hold() -> None:
    source: MarketSource[str] = MarketSource(
        Market(synthetic(5, seed=2, levels=150), seed=2, assets=synthetic_assets(5))
    )
    books = {symbol: NaiveBook(100) for symbol in source.symbols}
    frames = 0
    for symbol, book in books.items():
        for frame in source.open("me", Stream("book", symbol, 100), True):
            assert book.apply(frame)
            assert len(book.levels("bids")) == len(book.levels("asks")) == 100
    for _ in range(300):
        for stream, _, frame in source.step(None):
            frames += 1
            assert books[stream.symbol or ""].apply(frame)
    assert frames > 200


@pytest.mark.parametrize(("count", "levels"), [(0, 10), (-1, 10), (10_001, 10), (1, 0)])
def test_what_cannot_be_is_refused(count: int, levels: int) -> None:
    with pytest.raises(UsageError, match="expected 1 to 10000 listings"):
        synthetic(count, levels=levels)
