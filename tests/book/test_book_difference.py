"""From one book to another of the same symbol: by the message that made it so, or by the difference in one update."""

from __future__ import annotations

import pickle
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.frames import Model, Pair, v2_element, v2_frame, walk
from helpers.twins import event_content, state_content
from krakenwire.book import kernel, pure
from krakenwire.errors import UsageError
from krakenwire.events import Stamp

BTC = "BTC/USD"
STAMP = Stamp("public~", 3, 1_700_000_000_000_000_000, 42)
BIDS = [("100.0", "1.00"), ("99.5", "2.00")]
ASKS = [("100.5", "1.50"), ("101.0", "4.00")]


def moment(tick: int) -> str:
    return f"2026-07-19T{tick // 3600:02}:{tick // 60 % 60:02}:{tick % 60:02}.000001Z"


def snapshot(bids: list[Pair], asks: list[Pair], *, depth: int = 10, tick: int = 0, off: int = 0) -> bytes:
    checksum = Model(BTC, depth).apply(bids, asks, snapshot=True) ^ off
    return v2_frame("snapshot", v2_element(BTC, bids, asks, checksum, moment(tick)))


def kept(impl: Any, *frames: bytes, depth: int = 10) -> Any:
    """Books with one of BTC/USD, after these frames."""
    books = impl.Books()
    books.add(BTC, depth)
    for frame in frames:
        books.apply(frame, [])
    return books


class Consumer:
    """Keeps a book from updates alone, as PROTOCOL 3.5 says."""

    def __init__(self, depth: int) -> None:
        self.model = Model(BTC, depth)

    def take(self, update: Any) -> None:
        def pairs(levels: Any) -> list[Pair]:
            return [(format(price, "f"), format(qty, "f")) for price, qty in levels]

        checksum = self.model.apply(pairs(update.bids), pairs(update.asks), snapshot=update.type == "snapshot")
        assert checksum == update.checksum
        for side, best in (("bids", update.best_bid), ("asks", update.best_ask)):
            assert [(Decimal(price), Decimal(qty)) for price, qty in self.model.best(side)[:1]] == (
                [] if best is None else [tuple(best)]
            )


def levels(state: Any) -> list[list[tuple[str, str]]]:
    return [[(format(p, "f"), format(q, "f")) for p, q in state.levels(side)] for side in ("bids", "asks")]


# --- the difference --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [10, 100])
@given(seed=st.integers(0, 10**6), data=st.data())
def test_difference_leads_any_reader_from_one_book_to_the_other(depth: int, seed: int, data: st.DataObject) -> None:
    frames = [
        v2_frame(kind, v2_element(BTC, bids, asks, checksum, moment(tick)))
        for tick, (kind, bids, asks, checksum, _) in enumerate(walk(seed, depth=depth, updates=40))
    ]
    behind = data.draw(st.integers(1, len(frames)), label="behind")
    contents = []
    for impl in (kernel, pure):
        shown, ahead = kept(impl, *frames[:behind], depth=depth), kept(impl, *frames, depth=depth)
        consumer = Consumer(depth)
        probe = kept(impl, depth=depth)
        for frame in frames[:behind]:
            out: list[Any] = []
            probe.apply(frame, out)
            consumer.take(out[0])
        out = []
        told = shown.adopt(ahead.get(BTC), out, STAMP, 7, 5)
        mine, theirs = state_content(shown.get(BTC)), state_content(ahead.get(BTC))
        for name in ("bids exact", "asks exact", "checksum", "text", "status", "proven"):
            assert mine[name] == theirs[name]
        assert told == bool(out)
        for update in out:
            assert (update.type, update.outcome, update.synthesised) == ("update", "verified", True)
            assert update.exchange_ns == ahead.get(BTC).exchange_ns
            consumer.take(update)
        assert [consumer.model.best("bids"), consumer.model.best("asks")] == levels(ahead.get(BTC))
        assert not shown.adopt(ahead.get(BTC), []), "there is no difference any more"
        contents.append([event_content(update) for update in out])
    assert contents[0] == contents[1], "both kernels make the same frame"


@given(seed=st.integers(0, 10**6), other=st.integers(0, 10**6))
def test_difference_of_two_books_with_nothing_in_common(seed: int, other: int) -> None:
    rng = random.Random(seed)
    _, bids, asks, *_ = next(walk(seed, depth=25, levels=rng.randint(0, 25)))
    _, bids2, asks2, *_ = next(walk(other, depth=25, levels=rng.randint(0, 25), mid=rng.choice([645_000, 700_000])))
    frames = []
    for impl in (kernel, pure):
        shown = kept(impl, snapshot(bids, asks, depth=25), depth=25)
        ahead = kept(impl, snapshot(bids2, asks2, depth=25, tick=1), depth=25)
        frames.append(shown.get(BTC).difference(ahead.get(BTC)))
        out: list[Any] = []
        shown.adopt(ahead.get(BTC), out)
        assert levels(shown.get(BTC)) == levels(ahead.get(BTC))
        assert [update.outcome for update in out] in ([], ["verified"])
    assert frames[0] == frames[1]


def test_difference_deletes_first_and_then_sets_each_best_first(impl: Any) -> None:
    ahead = kept(impl, snapshot([("100.2", "9.00"), ("99.5", "2.50")], [("100.5", "1.50"), ("102.0", "1.00")], tick=1))
    shown = kept(impl, snapshot(BIDS, ASKS))
    checksum = ahead.get(BTC).checksum
    assert shown.get(BTC).difference(ahead.get(BTC)).decode() == (
        '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD",'
        '"bids":[{"price":100.0,"qty":0.00},{"price":100.2,"qty":9.00},{"price":99.5,"qty":2.50}],'
        '"asks":[{"price":101.0,"qty":0.00},{"price":102.0,"qty":1.00}],'
        f'"checksum":{checksum},"timestamp":"2026-07-19T00:00:01.000001Z"}}]}}'
    )


def test_level_that_is_written_otherwise_is_a_difference(impl: Any) -> None:
    shown, ahead = kept(impl, snapshot(BIDS, ASKS)), kept(impl, snapshot([("100.00", "1.0"), BIDS[1]], ASKS))
    out: list[Any] = []
    assert shown.adopt(ahead.get(BTC), out)
    assert [tuple(map(str, level)) for level in out[0].bids] == [("100.00", "1.0")]
    assert shown.get(BTC).checksum_text() == ahead.get(BTC).checksum_text()


def test_book_that_is_not_synced_becomes_the_other_by_a_snapshot(impl: Any) -> None:
    ahead = kept(impl, snapshot(BIDS, ASKS, tick=1))
    for shown in (kept(impl), kept(impl, snapshot(ASKS[:0], ASKS, tick=9))):
        shown.get(BTC).invalidate("disconnected")
        out: list[Any] = []
        assert shown.adopt(ahead.get(BTC), out, STAMP, 7, 5)
        (update,) = out
        assert (update.type, update.outcome, update.synthesised) == ("snapshot", "verified", True)
        assert update.frame == snapshot(BIDS, ASKS, tick=1), "to the byte as Kraken writes it"
        assert (update.stamp, update.n, update.seq) == (STAMP, 7, 5)
        assert shown.get(BTC).status == "synced"


def test_checksum_at_the_instruments_precisions_is_taken_over(impl: Any) -> None:
    short = [("100", "1"), ("99.5", "2")]  # numbers that lost their zeros
    right = Model(BTC, 10).apply(BIDS, [], snapshot=True)
    ahead = impl.Books()
    ahead.add(BTC, 10).set_precision(1, 2)
    out: list[Any] = []
    ahead.apply(v2_frame("snapshot", v2_element(BTC, short, [], right)), out)
    assert out[0].normalised
    shown = kept(impl, snapshot(ASKS[:0], [], tick=0))
    shown.get(BTC).invalidate("x")
    assert shown.adopt(ahead.get(BTC), out)
    assert (out[1].outcome, out[1].normalised, out[1].checksum) == ("verified", True, right)


def test_time_without_fraction_and_with_nanoseconds_is_kept(impl: Any) -> None:
    for text in ("2026-07-19T17:54:39.614696Z", "2026-07-19T17:54:39.614696123Z", None):
        checksum = Model(BTC, 10).apply(BIDS, ASKS, snapshot=True)
        ahead = kept(impl, v2_frame("snapshot", v2_element(BTC, BIDS, ASKS, checksum, text)))
        shown = kept(impl)
        out: list[Any] = []
        shown.adopt(ahead.get(BTC), out)
        assert out[0].frame == v2_frame("snapshot", v2_element(BTC, BIDS, ASKS, checksum, text))
        assert out[0].exchange_ns == ahead.get(BTC).exchange_ns


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (kept, "not proven"),
        (lambda impl: kept(impl, snapshot(BIDS, ASKS, tick=3, off=1)), "not proven"),
        (lambda impl: kept(impl, snapshot(BIDS, ASKS, tick=3, depth=25), depth=25), "10 levels a side"),
        (lambda impl: kept(impl, snapshot(BIDS, ASKS, tick=1)), "older"),
    ],
)
def test_book_that_cannot_be_taken_over_is_refused_and_changes_nothing(impl: Any, what: Any, words: str) -> None:
    shown = kept(impl, snapshot(BIDS[:1], ASKS, tick=2))
    before = state_content(shown.get(BTC))
    out: list[Any] = []
    with pytest.raises(UsageError, match=words):
        shown.adopt(what(impl).get(BTC), out)
    assert (out, state_content(shown.get(BTC))) == ([], before)
    with pytest.raises(UsageError, match="no book of 'BTC/USD'"):
        impl.Books().adopt(what(impl).get(BTC), out)


def test_synthesised_is_told_and_pickled(impl: Any) -> None:
    shown, ahead = kept(impl), kept(impl, snapshot(BIDS, ASKS))
    out: list[Any] = []
    ahead.apply(snapshot(BIDS, ASKS), out)
    shown.adopt(ahead.get(BTC), out)
    assert [update.synthesised for update in out] == [False, True]
    assert [pickle.loads(pickle.dumps(update)).synthesised for update in out] == [False, True]  # noqa: S301  # our own


# --- the message that made it so -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6))
def test_books_that_follow_stand_as_those_they_follow(seed: int) -> None:
    for impl in (kernel, pure):
        leader, shown = kept(impl), kept(impl)
        for tick, (kind, bids, asks, checksum, _) in enumerate(walk(seed, updates=30)):
            out: list[Any] = []
            frame = v2_frame(kind, v2_element(BTC, bids, asks, checksum, moment(tick)))
            leader.apply(frame, out, STAMP, tick, tick)
            assert shown.follow(out[0])
            assert state_content(shown.get(BTC)) == state_content(leader.get(BTC))
        assert (shown.verified, shown.ignored) == (leader.verified, 0)


def test_only_the_message_of_that_book_is_followed(impl: Any) -> None:
    leader, shown = impl.Books(), impl.Books()
    for books in (leader, shown):
        books.add(BTC, 10)
        books.add("ETH/USD", 10)
    out: list[Any] = []
    btc = v2_element(BTC, BIDS, ASKS, Model(BTC, 10).apply(BIDS, ASKS, snapshot=True))
    eth = v2_element("ETH/USD", BIDS, [], Model(BTC, 10).apply(BIDS, [], snapshot=True))
    leader.apply(v2_frame("snapshot", btc, eth), out)
    assert shown.follow(out[1])
    assert [shown.get(symbol).status for symbol in (BTC, "ETH/USD")] == ["empty", "synced"]


def test_book_that_cannot_follow_says_so(impl: Any) -> None:
    leader = kept(impl, snapshot(BIDS, ASKS))
    out: list[Any] = []
    leader.apply(v2_frame("update", v2_element(BTC, [("99.0", "1.00")], [], 0, moment(3))), out)
    assert not kept(impl).follow(out[0]), "it has no snapshot"
    assert not impl.Books().follow(out[0]), "there is no such book"
    right = Model(BTC, 10)
    right.apply(BIDS, ASKS, snapshot=True)
    leader = kept(impl, snapshot(BIDS, ASKS))
    frame = v2_frame("update", v2_element(BTC, [("99.0", "1.00")], [], right.apply([("99.0", "1.00")], []), moment(3)))
    leader.apply(frame, out)
    other = kept(impl, snapshot(BIDS[:1], ASKS))
    assert not other.follow(out[-1]), "it comes to another checksum"
    assert other.get(BTC).status == "unsynced"
