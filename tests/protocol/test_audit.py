"""Whole books against REST: what a checksum does not cover is found and healed, and nothing else is."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from helpers.frames import Model, Pair, v2_element, v2_frame, walk
from helpers.wire import S, Wire, acks, book, timestamp
from krakenwire.book import Books
from krakenwire.errors import UsageError
from krakenwire.events import BookAudited, BookInvalidated, BookResynced, Level
from krakenwire.protocol.books.audit import Comparison, Depth, Watch, compare, compare_books, decode_depth
from krakenwire.protocol.core import MAIN, Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Fetch, Send

BTC = "BTC/USD"


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


class Market(Wire):
    """A book under way, whose exchange answers on the stream and by REST, each with a delay of its own.

    Args:
        depth: of the book.
        stream_delay, rest_delay: seconds, at most; drawn anew for each frame and answer.
        rest_age: how old an answer may be, seconds; as out of a cache.
    """

    def __init__(
        self,
        *,
        depth: int = 100,
        seed: int = 1,
        stream_delay: float = 0.0,
        rest_delay: float = 0.1,
        rest_age: float = 0.0,
        updates: int = 100_000,
        **options: Any,
    ) -> None:
        super().__init__()
        self.core = Core(Options(**({"audit_every": 60.0} | options)), book_audit="rest")
        self.depth = depth
        self.rng = random.Random(seed)
        self.walk = walk(seed, depth=depth, updates=updates)
        self.stream_delay, self.rest_delay, self.rest_age = stream_delay, rest_delay, rest_age
        self.tick = 0
        self.on_the_way: deque[tuple[int, bytes]] = deque()
        self.answers: list[tuple[int, int, bytes | None]] = []
        self.history: deque[tuple[int, dict[str, list[list[str]]]]] = deque(maxlen=400)
        self.model = Model(BTC, depth)
        self.done = 0
        self.is_subscribed = False
        self.asked: list[Fetch] = []
        self.lose_next_deep = False
        self.lost: list[bytes] = []
        self.keeps_history = rest_age > 0
        self.rest: Callable[[Fetch], bytes | None] = self.depth_now

    def begin(self) -> Market:
        _, _, _, _, self.model = next(self.walk)
        self.start()
        self.subscribe(book(BTC, self.depth))
        return self

    def run(self, seconds: float, step: float = 0.1) -> None:
        """Let the market move, `1 / step` times a second."""
        for _ in range(round(seconds / step)):
            self.advance(step)
            self._move()
            self._serve()
            while self.on_the_way and self.on_the_way[0][0] <= self.now:
                self.receive(self.on_the_way.popleft()[1])
            for answer in [each for each in self.answers if each[0] <= self.now]:
                self.answers.remove(answer)
                self.core.receive_answer(answer[1], answer[2], None if answer[2] else "down", self.stamp(""))
                self._collect()

    def _move(self) -> None:
        top = {side: self.model.best(side)[:10] for side in ("bids", "asks")}
        _, bids, asks, checksum, self.model = next(self.walk)
        self.tick += 1
        if self.keeps_history:
            self.history.append((self.now, self._sides(500)))
        if not self.is_subscribed or not (bids or asks):
            return
        frame = v2_frame("update", v2_element(BTC, bids, asks, checksum, timestamp(self.tick)))
        is_deep = top == {side: self.model.best(side)[:10] for side in ("bids", "asks")}
        if self.lose_next_deep and is_deep and self._matters(bids, asks):
            self.lose_next_deep = False
            self.lost.append(frame)
            return
        self._send(frame)

    def _matters(self, bids: list[Pair], asks: list[Pair]) -> bool:
        """Whether a level that is well within the book is set to something new."""
        inner = {side: dict(self.model.best(side)[12:60]) for side in ("bids", "asks")}
        return any(price in inner["bids"] for price, _ in bids) or any(price in inner["asks"] for price, _ in asks)

    def _send(self, frame: bytes) -> None:
        at = self.now + round(self.rng.uniform(0, self.stream_delay) * S)
        if self.on_the_way:
            at = max(at, self.on_the_way[-1][0])
        self.on_the_way.append((at, frame))

    def _serve(self) -> None:
        while self.done < len(self.actions):
            action = self.actions[self.done]
            self.done += 1
            if isinstance(action, Send):
                self._answer(json.loads(action.text))
            elif isinstance(action, Fetch):
                self.asked.append(action)
                self.answers.append(
                    (self.now + round(self.rng.uniform(0, self.rest_delay) * S), action.number, self.rest(action))
                )

    def _answer(self, request: Any) -> None:
        if request["method"] == "ping":
            return
        for frame in acks(request):
            self._send(frame)
        self.is_subscribed = request["method"] == "subscribe"
        if self.is_subscribed:
            self.tick += 1
            bids, asks = self.model.best("bids"), self.model.best("asks")
            element = v2_element(BTC, bids, asks, self.model.checksum(), timestamp(self.tick))
            self._send(v2_frame("snapshot", element))

    def _sides(self, count: int) -> dict[str, list[list[str]]]:
        return {
            side: [[f"{Decimal(price):.5f}", f"{Decimal(qty):.3f}"] for price, qty in self.model.best(side)[:count]]
            for side in ("bids", "asks")
        }

    def depth_now(self, action: Fetch) -> bytes | None:
        params = dict(action.params)
        assert action.call == "Depth"
        sides = self._sides(int(params["count"]))
        if self.keeps_history and self.history:
            since = self.now - round(self.rng.uniform(0, self.rest_age) * S)
            sides = next(each for at, each in self.history if at >= since)
        rows = {side: [[*row, 1_700_000_000] for row in levels] for side, levels in sides.items()}
        return json.dumps({"error": [], "result": {"XXBTZUSD": rows}}).encode()

    def is_true(self) -> bool:
        """Whether the book is the market's, all of it."""
        while self.on_the_way:
            self.receive(self.on_the_way.popleft()[1])
        state = self.state(BTC)
        return state.status == "synced" and all(
            [(format(p, "f"), format(q, "f")) for p, q in state.levels(side)] == self.model.best(side)
            for side in ("bids", "asks")
        )


# --- in a market -----------------------------------------------------------------------------------------------------


def test_sound_book_is_audited_again_and_again() -> None:
    market = Market().begin()
    market.run(300)
    audits = market.told(BookAudited)
    assert 4 <= len(audits) <= 6
    assert {(event.symbol, event.depth, event.method, event.wrong) for event in audits} == {(BTC, 100, "rest", 0)}
    assert all(event.levels > 100 for event in audits)
    assert dict(market.asked[0].params) == {"pair": BTC, "count": "100"}
    assert market.told(BookInvalidated) == []
    assert market.is_true()


def test_lost_update_below_the_top_ten_is_found_and_healed() -> None:
    healed_by_audit = 0
    for seed in range(5):
        market = Market(seed=seed, audit_every=30.0).begin()
        market.run(30)
        market.lose_next_deep = True
        market.run(90)
        assert len(market.lost) == 1
        found = [event for event in market.told(BookAudited) if event.wrong]
        invalidated = market.told(BookInvalidated)
        if found:
            healed_by_audit += 1
            assert only(invalidated).reason == "audit"
            assert only(market.told(BookResynced)).attempts == 1
        assert market.is_true(), seed  # where no audit was needed, the market itself wrote over it
        assert market.core.statistics().mismatched == 0
    assert healed_by_audit >= 2


def test_lost_update_stays_unseen_without_an_audit() -> None:
    unseen = 0
    for seed in range(5):
        market = Market(seed=seed, audit_every=1e6).begin()
        market.run(60)
        market.lose_next_deep = True
        market.run(3)
        unseen += market.state(BTC).status == "synced" and not market.is_true()
    assert unseen >= 3


@pytest.mark.parametrize(
    "delays",
    [
        {"stream_delay": 1.5, "rest_delay": 3.0},
        {"stream_delay": 8.0, "rest_delay": 0.1},
        {"rest_age": 10.0, "rest_delay": 1.0},
        {"stream_delay": 4.0, "rest_delay": 2.0, "rest_age": 4.0},
    ],
)
def test_delays_are_no_difference(delays: dict[str, float]) -> None:
    market = Market(**delays, audit_every=20.0, updates=9000).begin()  # type: ignore[arg-type]  # delays only
    market.run(800)
    audits = market.told(BookAudited)
    assert len(audits) > 15
    assert [event for event in audits if event.wrong] == []
    assert market.told(BookInvalidated) == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_there_is_no_false_alarm_in_hours_of_a_busy_market_with_delays() -> None:
    for seed in range(4):
        market = Market(seed=seed, stream_delay=6.0, rest_delay=3.0, rest_age=4.0, audit_every=30.0).begin()
        market.run(3 * 3600, step=0.2)
        assert len(market.told(BookAudited)) > 200
        assert [event for event in market.told(BookAudited) if event.wrong] == []


def test_book_whose_levels_are_all_proven_is_not_audited() -> None:
    market = Market(depth=10).begin()
    market.run(300)
    assert market.asked == []
    assert market.told(BookAudited) == []


def test_failing_rest_is_no_verdict_and_audits_go_on_later() -> None:
    market = Market(backfill_attempts=2).begin()
    market.rest = lambda _action: None  # REST is down
    market.run(120)
    assert market.told(BookAudited) == []
    assert len(market.asked) >= 2
    market.rest = market.depth_now  # and up again
    market.run(120)
    assert market.told(BookAudited)
    assert market.told(BookInvalidated) == []


def test_nonsense_from_rest_is_no_verdict() -> None:
    answers = iter([b'{"error":[],"result":{}}', b'{"error":[],"result":{"X":{"asks":1,"bids":[]}}}', b"<html>"])
    market = Market(audit_every=30.0, backfill_attempts=1).begin()
    market.rest = lambda action: next(answers, None) or market.depth_now(action)
    market.run(200)
    assert [event.wrong for event in market.told(BookAudited)]
    assert {event.wrong for event in market.told(BookAudited)} == {0}
    assert market.told(BookInvalidated) == []


def test_pair_that_rest_calls_otherwise_is_asked_for_by_its_other_name() -> None:
    market = Market(audit_every=20.0).begin()

    def knows_only_the_old_name(action: Fetch) -> bytes | None:
        if dict(action.params)["pair"] == BTC:
            return b'{"error":["EQuery:Unknown asset pair"]}'
        return market.depth_now(action)

    market.rest = knows_only_the_old_name
    market.run(100)
    assert [dict(fetch.params)["pair"] for fetch in market.asked[:3]] == [BTC, "XBTUSD", "XBTUSD"]
    assert market.told(BookAudited)


def test_book_that_is_fetched_again_meanwhile_is_not_judged() -> None:
    market = Market(rest_delay=0.0).begin()
    market.run(9)
    assert len(market.asked) >= 0
    while not market.asked:
        market.run(0.1)
    market.disconnect()
    market.on_the_way.clear()
    market.is_subscribed = False
    market.connect()
    market.run(10)
    assert market.told(BookAudited) == []
    assert market.is_true()
    assert market.session()._watches == {}


def test_end_of_the_subscription_ends_its_audit() -> None:
    market = Market(rest_delay=5.0).begin()
    while not market.asked:
        market.run(0.1)
    market.unsubscribe(book(BTC, 100))
    market.run(200)
    assert market.told(BookAudited) == []
    assert len(market.asked) == 1
    assert market.session()._watches == {}


def test_nothing_is_watched_between_two_audits() -> None:
    market = Market().begin()
    market.run(30)
    assert market.told(BookAudited)
    assert market.session(MAIN)._watches == {}


def test_audits_of_many_books_are_spread_over_the_time() -> None:
    wire = Wire()
    wire.core = Core(Options(audit_every=60.0, message_burst=100, rest_per_second=10.0), book_audit="rest")
    wire.start()
    symbols = [f"S{number}/USD" for number in range(30)]
    wire.subscribe(*(book(symbol, 25) for symbol in symbols))
    for request in wire.sent():
        wire.receive(*acks(request))
    for symbol in symbols:
        model = Model(symbol, 25)
        wire.receive(v2_frame("snapshot", v2_element(symbol, [], [], model.apply([], [], snapshot=True))))
    asked: list[tuple[float, str]] = []
    empty = b'{"error":[],"result":{"X":{"asks":[],"bids":[]}}}'
    seen = 0
    begun = wire.now
    for _ in range(700):
        wire.advance(0.1)
        for request in wire.sent():
            if request["method"] == "ping":
                wire.receive(json.dumps({"method": "pong", "req_id": request["req_id"]}))
        new, seen = wire.actions[seen:], len(wire.actions)
        for action in new:
            if isinstance(action, Fetch):
                asked.append(((wire.now - begun) / S, dict(action.params)["pair"]))
                wire.core.receive_answer(action.number, empty, None, wire.stamp(""))
                wire._collect()
    first = [symbol for at, symbol in asked if at < 66]
    assert sorted(first) == sorted(set(first))
    assert 25 <= len(first) <= 30
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(asked)]
    assert max(gaps) < 6
    assert len(asked) <= 32


# --- the comparison --------------------------------------------------------------------------------------------------


def held(depth: int, bids: list[Pair], asks: list[Pair]) -> Any:
    books = Books()
    state = books.add(BTC, depth)
    model = Model(BTC, depth)
    books.apply(v2_frame("snapshot", v2_element(BTC, bids, asks, model.apply(bids, asks, snapshot=True))), [])
    assert state.status == "synced"
    return state


def shown(bids: list[Pair], asks: list[Pair], asked: int = 100) -> Depth:
    ours, theirs = ([Level(Decimal(p), Decimal(q)) for p, q in side] for side in (bids, asks))
    return Depth(ours, theirs, asked)


BIDS = [("99.0", "1.00000000"), ("98.0", "2.00000000"), ("97.0", "3.00000000")]
ASKS = [("100.0", "1.00000000"), ("101.0", "2.00000000"), ("102.0", "3.00000000")]


def test_same_levels_agree_however_they_are_written() -> None:
    theirs = shown([("99.00000", "1.000"), ("98.00000", "2.000"), ("97.00000", "3.000")], ASKS)
    assert compare(held(100, BIDS, ASKS), theirs, Watch()) == Comparison(6, 0, frozenset())


@pytest.mark.parametrize(
    ("ours", "theirs", "agree"),
    [
        ("0.12345678", "0.123", True),
        ("0.12350000", "0.124", True),
        ("0.00000100", "0.001", True),
        ("0.12345678", "0.125", False),
        ("0.00200000", "0.001", False),
        ("5.00000000", "5", True),
    ],
)
def test_volumes_are_compared_as_far_as_rest_writes_them(ours: str, theirs: str, agree: bool) -> None:
    found = compare(held(100, [("99.0", ours)], ASKS), shown([("99.0", theirs)], ASKS), Watch())
    assert (found.wrong == frozenset()) is agree


def test_level_that_is_missing_and_one_too_many_are_found() -> None:
    found = compare(held(100, BIDS, ASKS), shown([BIDS[0], BIDS[2], ("96.0", "1.0")], ASKS), Watch())
    assert found.wrong == {("bids", Decimal("98.0")), ("bids", Decimal("96.0"))}


def test_what_changed_meanwhile_is_not_compared() -> None:
    watch = Watch()
    watch.changed["bids"] = {Decimal("98"), Decimal("96")}
    found = compare(held(100, BIDS, ASKS), shown([BIDS[0], BIDS[2], ("96.0", "1.0")], ASKS), watch)
    assert found == Comparison(5, 2, frozenset())


def test_what_lies_beyond_the_edge_of_either_is_not_compared() -> None:
    deeper = [*ASKS, ("103.0", "1.0"), ("104.0", "1.0")]
    assert compare(held(3, BIDS, ASKS), shown(BIDS, deeper), Watch()).wrong == frozenset()
    assert compare(held(100, BIDS, deeper), shown(BIDS, ASKS, asked=3), Watch()).wrong == frozenset()
    assert len(compare(held(100, BIDS, ASKS), shown(BIDS, deeper), Watch()).wrong) == 2


def test_level_that_was_outside_for_a_while_is_not_missed() -> None:
    """102 was pushed out by 100.5, which was deleted again: for that while 101.5 may have come and gone unseen."""
    watch = Watch()
    watch.changed["asks"] = {Decimal("100.5"), Decimal("102")}
    theirs = [*ASKS[:2], ("101.5", "1.0"), ASKS[2]]
    assert compare(held(3, BIDS, ASKS), shown(BIDS, theirs), watch).wrong == frozenset()


def test_side_on_which_everything_moved_is_left_out() -> None:
    watch = Watch()
    watch.changed["bids"] = {Decimal(price) for price, _ in BIDS}
    assert compare(held(3, BIDS, ASKS), shown([], ASKS), watch) == Comparison(3, 0, frozenset())


def test_answer_is_read_whatever_the_pair_is_called() -> None:
    answer = b'{"SHIBUSD":{"asks":[["0.00002345","45000000.000",1616663113]],"bids":[]}}'
    assert decode_depth(answer, 5) == Depth([], [Level(Decimal("0.00002345"), Decimal("45000000.000"))], 5)


@pytest.mark.parametrize("answer", [b"{}", b'{"A":{"asks":[],"bids":[]},"B":{"asks":[],"bids":[]}}', b"[]"])
def test_answer_that_is_not_one_book_is_refused(answer: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_depth(answer, 5)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999999"])
def test_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        decode_depth(b'{"A":{"asks":[["%s","1",0]],"bids":[]}}' % number.encode(), 5)


# --- two books -------------------------------------------------------------------------------------------------------


def test_two_books_of_the_same_message_are_compared_level_by_level() -> None:
    assert compare_books(held(100, BIDS, ASKS), held(100, BIDS, ASKS)) == Comparison(6, 0, frozenset())


def test_two_books_of_different_messages_are_not_compared() -> None:
    assert compare_books(held(100, BIDS, ASKS), held(100, BIDS[:2], ASKS)) is None


def test_two_books_that_differ_below_the_top_ten_are_told_apart() -> None:
    many = [(f"{99 - number}.0", "1.00000000") for number in range(20)]
    fewer = [pair for pair in many if pair[0] != "84.0"]
    found = compare_books(held(100, many, ASKS), held(100, fewer, ASKS))
    assert found == Comparison(23, 0, frozenset({("bids", Decimal("84"))}))


def test_audit_between_two_books_needs_two() -> None:
    with pytest.raises(UsageError, match="mirror=True"):
        Core(book_audit="mirror")
