"""The book that a user holds."""

from __future__ import annotations

import asyncio
import dataclasses
import pickle
import sys
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from helpers.frames import Model, Pair, v2_element, v2_frame
from krakenwire.book.face import Book
from krakenwire.errors import BookUnsynced, ConnectionClosed, UsageError
from krakenwire.events import Level, Stamp

BIDS = [("100.0", "1.00"), ("99.5", "2.00"), ("99.0", "3.00")]
ASKS = [("100.5", "1.50"), ("101.0", "2.50")]
STAMP = Stamp("public", 0, 1_700_000_000_000_000_123, 9)


class Held:
    """A book as the client keeps it up: messages go to the state, and the book is told."""

    def __init__(self, impl: Any, depth: int = 10, state_depth: int = 10) -> None:
        self.books = impl.Books()
        self.state = self.books.add("BTC/USD", state_depth)
        self.model = Model("BTC/USD", state_depth)
        self.book = Book("BTC/USD", depth)
        self.book.attach(self.state)

    def send(self, kind: str, bids: list[Pair], asks: list[Pair], off: int = 0) -> None:
        checksum = self.model.apply(bids, asks, snapshot=kind == "snapshot") + off
        self.books.apply(v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum)), [], STAMP, 1, 1)
        self.book.notify()


@pytest.fixture
def held(impl: Any) -> Held:
    held = Held(impl)
    held.send("snapshot", BIDS, ASKS)
    return held


def levels(pairs: list[Pair]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), Decimal(qty)) for price, qty in pairs)


READS: list[Callable[[Book], object]] = [
    *(lambda book: book.bids, lambda book: book.asks, lambda book: book.best_bid, lambda book: book.best_ask),
    *(lambda book: book.mid, lambda book: book.spread, lambda book: book.microprice, lambda book: book.imbalance()),
    *(lambda book: book.vwap("buy", 1), lambda book: book.cost("sell", 1), lambda book: book.snapshot()),
    lambda book: book.to_numpy(),
]


def test_synced_book_shows_its_levels_exactly(held: Held) -> None:
    assert (held.book.bids, held.book.asks) == (levels(BIDS), levels(ASKS))
    assert [str(level.qty) for level in held.book.bids] == ["1.00", "2.00", "3.00"]
    assert (held.book.is_synced, held.book.proven_levels) == (True, 10)
    assert held.book.checksum == held.state.checksum
    assert held.book.updated_ns == 1_700_000_000_000_000_123
    assert held.book.exchange_ns == 1_784_483_679_614_696_000


def test_book_is_as_of_the_last_message(held: Held) -> None:
    held.send("update", [("100.2", "5.00")], [])
    assert held.book.best_bid == Level(Decimal("100.2"), Decimal(5))


@pytest.mark.parametrize("read", READS)
def test_reading_an_unsynced_book_raises_with_the_reason(held: Held, read: Callable[[Book], object]) -> None:
    read(held.book)
    held.send("update", [("99.9", "1.00")], [], off=1)
    with pytest.raises(BookUnsynced) as caught:
        read(held.book)
    assert (caught.value.symbol, caught.value.reason) == ("BTC/USD", "checksum")
    assert (held.book.is_synced, held.book.proven_levels) == (False, 0)


@pytest.mark.parametrize("read", READS)
def test_book_before_its_snapshot_is_empty_and_cannot_be_read(impl: Any, read: Callable[[Book], object]) -> None:
    for book in (Held(impl).book, Book("BTC/USD", 10)):
        with pytest.raises(BookUnsynced, match="not synced \\(empty\\)"):
            read(book)
        assert (book.is_synced, book.checksum, book.updated_ns, book.exchange_ns) == (False, None, None, None)


def test_detached_book_says_disconnected_and_keeps_its_last_state(held: Held) -> None:
    held.book.attach(None)
    with pytest.raises(BookUnsynced, match="disconnected"):
        _ = held.book.bids
    assert (held.book.stale.bids, held.book.stale.synced) == (levels(BIDS), False)
    assert held.book.proven_levels == 0
    held.book.attach(None, "quarantined")
    with pytest.raises(BookUnsynced, match="quarantined"):
        _ = held.book.bids
    held.book.attach(held.state)
    assert held.book.bids == levels(BIDS)


def test_stale_gives_the_last_state_and_never_raises(held: Held) -> None:
    assert held.book.stale == held.book.snapshot()
    held.send("update", [("99.9", "1.00")], [], off=1)
    stale = held.book.stale
    assert (stale.synced, stale.bids[1].price, stale.asks) == (False, Decimal("99.9"), levels(ASKS))
    assert stale.mid == Decimal("100.25"), "whoever insists may compute with it"
    assert (Book("BTC/USD", 10).stale.bids, Book("BTC/USD", 10).stale.synced) == ((), False)


def test_unproven_book_can_be_read_but_proves_nothing(impl: Any) -> None:
    held = Held(impl)
    held.books.apply(b'[1,{"as":[["3","1","1"]],"bs":[["2","1","1"]]},"book-10","BTC/USD"]', [])
    assert (held.book.is_synced, held.book.proven_levels, held.book.mid) == (True, 0, Decimal("2.5"))


def test_smaller_depth_is_served_from_a_larger_book(impl: Any) -> None:
    held = Held(impl, depth=2, state_depth=25)
    held.send("snapshot", BIDS, ASKS)
    book = held.book
    assert (book.bids, book.asks) == (levels(BIDS[:2]), levels(ASKS))
    assert (len(book.stale.bids), len(book.snapshot(99).bids), book.proven_levels) == (2, 2, 2)
    assert [len(side) for side in book.to_numpy()] == [2, 2]
    assert book.imbalance(3) == pytest.approx((3 - 4) / 7)


def test_snapshot_is_frozen_and_does_not_follow_the_book(held: Held) -> None:
    snapshot = held.book.snapshot(2)
    held.send("update", [("100.2", "5.00")], [])
    assert (snapshot.bids, snapshot.asks, snapshot.symbol, snapshot.depth) == (
        levels(BIDS[:2]),
        levels(ASKS),
        "BTC/USD",
        10,
    )
    assert (snapshot.received_ns, snapshot.exchange_ns, snapshot.synced) == (
        STAMP.received_ns,
        held.book.exchange_ns,
        True,
    )
    assert snapshot.checksum == Model("", 10).apply(BIDS, ASKS, snapshot=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.synced = False  # type: ignore[misc]  # the refusal is what is tested
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot  # noqa: S301  # our own
    assert hash(snapshot) == hash(dataclasses.replace(snapshot))
    with pytest.raises(UsageError, match="levels must be positive, got 0"):
        held.book.snapshot(0)


def test_to_numpy_without_numpy_says_what_to_install(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    for it in (held.book, held.book.snapshot()):
        with pytest.raises(UsageError, match=r"pip install 'krakenwire\[numpy\]'"):
            it.to_numpy()


def test_one_level_is_read_without_the_others(held: Held) -> None:
    asked: list[int] = []

    class Spy:
        status = "synced"

        def levels(self, side: Any, n: int | None = None) -> list[Level]:
            asked.append(-1 if n is None else n)
            return list(held.state.levels(side, n))

    book = Book("BTC/USD", 10)
    book.attach(Spy())  # type: ignore[arg-type]  # all that reading needs of a state
    assert (book.best_bid, book.best_ask, book.mid, book.spread) == (
        *(held.book.best_bid, held.book.best_ask, held.book.mid, held.book.spread),
    )
    assert set(asked) == {1}


def test_repr_says_how_it_stands(held: Held) -> None:
    assert repr(held.book) == "<Book BTC/USD depth=10 synced>"
    held.state.invalidate("timestamp")
    assert repr(held.book) == "<Book BTC/USD depth=10 timestamp>"


# --- waiting ---------------------------------------------------------------------------------------------------------


async def waiting(wait: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that has begun to wait."""
    task = asyncio.ensure_future(wait)
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_changed_returns_at_once_for_what_happened_while_the_reader_was_away(held: Held) -> None:
    await held.book.synced()
    held.send("update", [("100.2", "5.00")], [])
    held.send("update", [("100.2", "6.00")], [])
    await asyncio.wait_for(held.book.changed(), 1)
    await waiting(held.book.changed())


async def test_reason_says_why_the_book_cannot_be_read(impl: Any) -> None:
    held = Held(impl)
    reasons = [held.book.reason]
    held.send("snapshot", BIDS, ASKS)
    reasons.append(held.book.reason)
    held.send("snapshot", BIDS, ASKS, off=1)
    reasons.append(held.book.reason)
    assert reasons == ["empty", None, "checksum"]


async def test_changed_returns_with_the_next_message(held: Held) -> None:
    await held.book.synced()
    tasks = [await waiting(held.book.changed()) for _ in range(3)]
    held.send("update", [("100.2", "5.00")], [])
    await asyncio.gather(*tasks)
    task = await waiting(held.book.changed())
    held.book.attach(None)
    await task


async def test_synced_returns_at_once_if_it_is(held: Held) -> None:
    await held.book.synced()
    await held.book.synced(timeout=0.01)


async def test_synced_waits_through_messages_until_the_book_is(impl: Any) -> None:
    held = Held(impl)
    task = await waiting(held.book.synced())
    held.send("snapshot", BIDS, ASKS, off=1)
    await asyncio.sleep(0)
    assert not task.done()
    held.send("snapshot", BIDS, ASKS)
    await task


async def test_synced_gives_up_in_time(impl: Any) -> None:
    with pytest.raises(TimeoutError):
        await Held(impl).book.synced(timeout=0.001)


async def test_waiting_can_be_cancelled_without_a_trace(held: Held) -> None:
    await held.book.synced()
    first, second = await waiting(held.book.changed()), await waiting(held.book.changed())
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    held.book.notify()
    await second
    task = await waiting(held.book.changed())
    held.book.notify()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.book.notify()


async def test_release_ends_all_waiting_now_and_later(impl: Any) -> None:
    held = Held(impl)
    tasks = [await waiting(held.book.changed()), await waiting(held.book.synced())]
    held.book.release()
    for task in tasks:
        with pytest.raises(ConnectionClosed, match="the book of BTC/USD was closed"):
            await task
    for wait in (held.book.changed, held.book.synced):
        with pytest.raises(ConnectionClosed):
            await wait()


async def test_released_book_keeps_its_last_state_and_cannot_be_read(held: Held) -> None:
    error = ConnectionClosed("the client was closed")
    held.book.release(error)
    held.state.reset()
    assert held.book.stale.bids == levels(BIDS)
    with pytest.raises(BookUnsynced, match="disconnected"):
        _ = held.book.bids
    with pytest.raises(ConnectionClosed, match="the client was closed"):
        await held.book.changed()
