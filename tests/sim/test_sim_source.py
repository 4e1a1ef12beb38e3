from __future__ import annotations

from collections.abc import Iterator

from krakenwire.sim.feed.feed import Stream
from krakenwire.sim.instruments import select
from krakenwire.sim.market.market import Market
from krakenwire.sim.source import MarketSource

BOOK, TRADE, OTHER = Stream("book", "BTC/USD", 10), Stream("trade", "BTC/USD"), Stream("book", "ETH/BTC", 100)


def make() -> MarketSource[str]:
    return MarketSource(Market(select(["BTC/USD", "ETH/BTC"]), seed=1))


def deliveries(source: MarketSource[str], steps: int = 200) -> Iterator[tuple[tuple[str, ...], bytes]]:
    for _ in range(steps):
        for _, subscribers, frame in source.step(None):
            yield tuple(subscribers), frame


def test_frame_goes_to_all_who_subscribed_to_its_stream_and_to_nobody_else() -> None:
    source = make()
    for subscriber, stream in (("a", BOOK), ("b", BOOK), ("b", TRADE), ("c", OTHER)):
        source.open(subscriber, stream, True)
    seen = {(who, frame[:40].split(b'"')[3], b"BTC/USD" in frame) for who, frame in deliveries(source)}
    assert seen == {(("a", "b"), b"book", True), (("b",), b"trade", True), (("c",), b"book", False)}


def test_stream_ends_with_its_last_subscriber() -> None:
    source = make()
    for subscriber, stream in (("a", BOOK), ("b", BOOK), ("b", TRADE)):
        source.open(subscriber, stream, False)
    source.close("a", BOOK)
    assert {who for who, _ in deliveries(source)} == {("b",)}
    source.close("b", BOOK)
    assert all(frame.startswith(b'{"channel":"trade"') for _, frame in deliveries(source))


def test_symbol_moves_only_while_somebody_listens_to_it() -> None:
    source = make()
    source.open("a", BOOK, True)
    source.open("a", OTHER, True)
    source.close("a", OTHER)
    still = source.market.truth("ETH/BTC", 1000)
    assert list(deliveries(source))
    assert source.market.truth("ETH/BTC", 1000) == still


def test_instruments_alone_make_nothing_move() -> None:
    source = make()
    assert len(source.open("a", Stream("instrument"), True)) == 1
    assert source.open("b", Stream("instrument"), False) == []
    assert source.is_idle


def test_symbol_that_is_not_traded_is_refused_in_kraken_words() -> None:
    assert make().refuse(Stream("book", "SOL/USD", 10)) == "Currency pair not supported SOL/USD"
    assert make().refuse(BOOK) is None
    assert make().refuse(Stream("instrument")) is None
