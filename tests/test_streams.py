"""The face of every source: what a stream is asked for, and what its reader is told and called."""

from __future__ import annotations

from typing import Any

import pytest

from krakenwire.errors import UsageError
from krakenwire.hub import Delivery, Hub, Interest, Reader
from krakenwire.streams import StreamRequest, Streams


class Source(Streams):
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.hub = Hub()

    def now_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        """It has no time."""

    def _read(self, request: StreamRequest) -> Reader[Any]:
        self.asked.append(request)
        return self._reader(request.delivery, request.what)

    def _observe(self, interest: Interest, delivery: Delivery) -> Reader[Any]:
        self.asked.append((interest, delivery))
        return self._reader(delivery, interest.channel or "events")

    def _reader(self, delivery: Delivery, what: str) -> Reader[Any]:
        async def subscribe() -> None:
            """There is nothing to subscribe to."""

        inbox = self.hub.inbox(delivery, what)
        return Reader(inbox, on_loss=delivery.on_loss, subscribe=subscribe, release=lambda: None)


def test_options_of_the_reader_reach_the_hub_from_every_stream() -> None:
    source = Source()
    how: Any = {
        "policy": "block",
        "capacity": 7,
        "capacity_bytes": 9,
        "block_limit": 2.0,
        "name": "mine",
        "on_loss": "yield",
    }
    source.trades("BTC/USD", **how)
    source.books("BTC/USD", depth=100, **how)
    source.ticker("BTC/USD", event_trigger="bbo", **how)
    source.ohlc("BTC/USD", interval=5, **how)
    source.instruments(**how)
    source.stream("book", "trade", symbols="all", **how)
    assert {request.delivery for request in source.asked} == {Delivery(**how)}
    source.asked.clear()
    source.events(**how)
    source.lifecycle(**how)
    assert source.asked == [(Interest(None), Delivery(**how)), (Interest("lifecycle"), Delivery(**how))]


def test_books_and_tickers_conflate_and_all_else_drops_the_oldest_unless_told() -> None:
    source = Source()
    source.books("A/B")
    source.ticker("A/B")
    source.stream("book", "ticker", symbols=["A/B"])
    source.trades("A/B")
    source.ohlc("A/B")
    source.instruments()
    source.stream("book", "trade", symbols=["A/B"])
    source.books("A/B", policy="drop_oldest")
    policies = [request.delivery.policy for request in source.asked]
    assert policies == ["conflate"] * 3 + ["drop_oldest"] * 5
    assert {request.delivery.capacity for request in source.asked} == {65_536}


def test_a_reader_is_called_by_what_it_reads_unless_it_was_given_a_name() -> None:
    source = Source()
    names = [
        reader.name
        for reader in (
            source.trades("BTC/USD"),
            source.stream("book", "trade", symbols=["A/B", "C/D", "E/F", "G/H", "I/J"]),
            source.stream("ticker", symbols="all"),
            source.instruments(),
            source.events(),
            source.trades("BTC/USD", name="risk"),
            source.trades("BTC/USD"),
        )
    ]
    assert names == [
        "trade BTC/USD #1",
        "book,trade A/B,C/D,E/F and 2 more #2",
        "ticker all #3",
        "instrument #4",
        "events #5",
        "risk",
        "trade BTC/USD #6",
    ]


@pytest.mark.parametrize(
    "how", [{"policy": "newest"}, {"capacity": 0}, {"capacity_bytes": -1}, {"block_limit": 0}, {"on_loss": "ignore"}]
)
def test_what_cannot_work_is_refused_where_it_is_asked_for(how: Any) -> None:
    with pytest.raises(UsageError):
        Source().trades("BTC/USD", **how)
    with pytest.raises(UsageError):
        Source().events(**how)
