"""Trades: each once, in order; what is missing is fetched, and what cannot be had is told exactly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.rest import RestTape, kraken_error, param, tick_ns, trades_body
from helpers.wire import S, Wire, acks, timestamp, trades
from krakenwire.events import Backfilled, Gap, SubscribeRejected, Trade
from krakenwire.protocol.core import MAIN
from krakenwire.protocol.outputs import Fetch
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.codec import decode

pytestmark = pytest.mark.any_kernel

BTC, ETH = "BTC/USD", "ETH/USD"
TRADE = Key("trade", BTC)


def live(*keys: Key, **options: Any) -> Wire:
    """A core that is subscribed."""
    quiet: dict[str, Any] = {"idle_ping": 1e6, "keepalive": 1e6}  # no ping, whatever time goes by
    wire = Wire(**quiet | options).start()
    wire.subscribe(*(keys or (TRADE,)))
    for request in wire.sent():
        wire.receive(*acks(request))
    return wire


def again(wire: Wire, *frames: bytes) -> None:
    """Cut off, connected again and acknowledged; then `frames` come."""
    wire.disconnect()
    wire.connect()
    for request in wire.sent():
        wire.receive(*acks(request))
    wire.receive(*frames)


def fetched(wire: Wire) -> Fetch:
    """The one REST call that is wanted within two seconds."""
    wire.advance(2)
    (fetch,) = wire.fetches()
    return fetch


def ids(wire: Wire, symbol: str = BTC) -> list[int]:
    """What was given."""
    return [event.trade_id or 0 for event in wire.told(Trade) if event.symbol == symbol]


def gaps(wire: Wire) -> list[tuple[int | None, int | None, int | None]]:
    return [(gap.first, gap.last, gap.count) for gap in wire.told(Gap)]


def over_second(wire: Wire, frame: bytes, connection: str = "public~") -> None:
    """A frame of trades over the second connection of a mirror, as its session hands it on."""
    stamp = wire.stamp(connection)
    for event in decode(frame, stamp=stamp, n=1):
        assert isinstance(event, Trade)
        wire.core.trades.receive(event)
    wire.core.trades.end_frame(stamp, 1)
    wire.core._flush(stamp)
    wire._collect()


# --- continuity ------------------------------------------------------------------------------------------------------


def test_trades_in_order_pass_at_once() -> None:
    wire = live()
    wire.receive(trades(7), trades(8, 9))
    assert ids(wire) == [7, 8, 9]
    assert wire.core.trades.last(BTC) == 9
    assert wire.core.trades.last(ETH) is None
    assert wire.fetches() == []


def test_repeated_trades_are_dropped_and_counted() -> None:
    wire = live()
    wire.receive(trades(1, 2, 3), trades(2), trades(3), trades(4))
    assert ids(wire) == [1, 2, 3, 4]
    assert wire.core.statistics().repeated == 2


def test_symbols_are_counted_apart_and_one_that_is_held_up_holds_up_no_other() -> None:
    wire = live(TRADE, Key("trade", ETH))
    wire.receive(trades(100), trades(5, symbol=ETH), trades(102), trades(6, symbol=ETH), trades(103))
    assert (ids(wire), ids(wire, ETH)) == ([100], [5, 6])
    assert wire.core.trades.holes == (BTC,)
    assert wire.core.trades.held == 2


def test_trade_that_is_repeated_while_it_is_held_back_is_counted_and_given_once() -> None:
    wire = live()
    wire.receive(trades(1), trades(3), trades(3), trades(4, 3), trades(2))
    assert ids(wire) == [1, 2, 3, 4]
    assert wire.core.statistics().repeated == 2


def test_late_trade_closes_the_hole_without_a_call() -> None:
    wire = live()
    wire.receive(trades(1), trades(3), trades(2), trades(4))
    assert ids(wire) == [1, 2, 3, 4]
    (filled,) = wire.told(Backfilled)
    assert (filled.how, filled.first, filled.last, filled.count) == ("late", 2, 2, 1)
    wire.advance(5)
    assert wire.fetches() == []


def test_exchange_that_counts_anew_is_a_gap_of_unknown_size() -> None:
    wire = live()
    wire.receive(trades(5000))
    again(wire, trades(5001))
    later = trades(6000).replace(b'"trade_id":6000', b'"trade_id":1')
    again(wire, later, later.replace(b'"trade_id":1', b'"trade_id":2'))
    assert ids(wire) == [5000, 5001, 1, 2]
    (gap,) = wire.told(Gap)
    assert (gap.first, gap.last, gap.count) == (None, None, None)
    assert "5001 to 1" in gap.reason


def test_snapshot_that_repeats_older_trades_in_a_new_epoch_is_no_new_count() -> None:
    wire = live()
    wire.receive(trades(6, 7))
    again(wire, trades(5, 6, 7, kind="snapshot"), trades(7), trades(8))
    assert (ids(wire), gaps(wire)) == ([6, 7, 8], [])


def test_slower_second_connection_repeats_and_counts_not_anew() -> None:
    wire = live()
    core = wire.core
    wire.receive(trades(5, 6, 7))
    core.trades.hold(BTC, "public~")
    over_second(wire, trades(6))
    assert ids(wire) == [5, 6, 7]
    assert core.trades.repeated == 1


def test_time_that_rest_tells_more_finely_is_no_new_count() -> None:
    """REST tells nanoseconds, a WebSocket microseconds: of two of one moment the earlier may seem to be later."""
    wire = live()
    wire.receive(trades(5, 6, 7))
    wire.core.trades.hold(BTC, "public~")
    moment = timestamp(7).removesuffix("Z")
    over_second(wire, trades(6).replace(timestamp(6).encode(), f"{moment}001Z".encode()))
    assert (ids(wire), gaps(wire)) == ([5, 6, 7], [])


# --- the snapshot after a reconnect ----------------------------------------------------------------------------------


def test_snapshot_that_reaches_closes_the_gap_and_says_so() -> None:
    wire = live()
    wire.receive(trades(1, 2, 3))
    again(wire, trades(2, 3, 4, 5, kind="snapshot"), trades(6))
    assert [(e.trade_id, e.source) for e in wire.told(Trade)][3:] == [(4, "snapshot"), (5, "snapshot"), (6, "live")]
    (filled,) = wire.told(Backfilled)
    assert (filled.of, filled.how, filled.first, filled.last, filled.count) == ("trade", "snapshot", 4, 5, 2)
    assert wire.core.statistics().backfilled == 2


def test_snapshot_that_does_not_reach_is_held_back_until_rest_has_filled_the_hole() -> None:
    wire = live()
    wire.receive(trades(3))
    again(wire, trades(60, 61, kind="snapshot"), trades(62))
    assert ids(wire) == [3]
    fetch = fetched(wire)
    assert fetch.call == "Trades"
    assert param(fetch, "pair") == BTC
    assert int(param(fetch, "since") or 0) < tick_ns(3), "trades of one moment overlap"
    wire.receive(trades(63))
    wire.answer(fetch, RestTape(range(1, 63)).answer(fetch))
    assert ids(wire) == [*range(3, 4), *range(4, 64)]
    sources = {event.source for event in wire.told(Trade) if 4 <= (event.trade_id or 0) < 60}
    assert sources == {"backfill"}
    (filled,) = wire.told(Backfilled)
    assert (filled.how, filled.first, filled.last, filled.count) == ("rest", 4, 61, 58)
    assert filled.took_ns >= 0
    assert gaps(wire) == []


def test_filled_trade_is_told_over_the_connection_that_showed_the_hole() -> None:
    wire = live()
    wire.receive(trades(1), trades(3))
    fetch = fetched(wire)
    wire.answer(fetch, RestTape(range(1, 4)).answer(fetch))
    backfilled = wire.told(Trade)[1]
    assert (backfilled.trade_id, backfilled.source, backfilled.connection, backfilled.seq) == (2, "backfill", MAIN, 0)
    assert backfilled.exchange_ns == tick_ns(2)
    assert backfilled.received_mono_ns == wire.now


# --- REST ------------------------------------------------------------------------------------------------------------


def test_hole_of_many_pages_is_filled_page_by_page_in_order() -> None:
    wire = live(rest_per_second=100.0)
    tape = RestTape(range(1, 3501))
    wire.receive(trades(1), trades(3400))
    calls = 0
    while wire.core.trades.holes:
        fetch = fetched(wire)
        calls += 1
        before = len(ids(wire))
        wire.answer(fetch, tape.answer(fetch))
        assert len(ids(wire)) > before, "what a page brings is given at once, not kept"
    assert ids(wire) == list(range(1, 3401))
    assert calls == 4


def test_disconnect_in_the_middle_stops_nothing() -> None:
    wire = live()
    wire.receive(trades(1), trades(5))
    fetch = fetched(wire)
    wire.disconnect()
    wire.answer(fetch, RestTape(range(1, 6)).answer(fetch))
    assert ids(wire) == [1, 2, 3, 4, 5]


def test_what_comes_meanwhile_makes_the_answer_an_overlap() -> None:
    wire = live()
    wire.receive(trades(1), trades(5))
    fetch = fetched(wire)
    wire.receive(trades(2), trades(3), trades(4))
    assert ids(wire) == [1, 2, 3, 4, 5]
    assert wire.answer(fetch, RestTape(range(1, 6)).answer(fetch)) == []


def test_unsubscribed_by_all_forgets_what_was_held_and_ignores_the_answer() -> None:
    wire = live()
    wire.receive(trades(1), trades(5))
    fetch = fetched(wire)
    wire.unsubscribe(TRADE)
    (leave,) = wire.sent()
    wire.receive(*acks(leave))
    assert wire.answer(fetch, RestTape(range(1, 6)).answer(fetch)) == []
    assert wire.core.trades.held == 0
    assert len(wire.core.fetcher) == 0
    assert wire.core.trades.next_deadline() is None
    wire.subscribe(TRADE)
    wire.receive(*acks(wire.sent()[-1]), trades(50))
    assert (ids(wire), gaps(wire)) == ([1, 50], [])


def test_rejection_after_a_reconnect_gives_what_was_held_and_tells_the_gap() -> None:
    wire = live()
    wire.receive(trades(1), trades(5))
    wire.disconnect()
    wire.connect()
    (request,) = wire.sent()
    wire.receive(
        {
            "method": "subscribe",
            "req_id": request["req_id"],
            "success": False,
            "symbol": BTC,
            "error": "Pair(s) not found",
        }
    )
    assert (ids(wire), gaps(wire)) == ([1, 5], [(2, 4, 3)])
    assert len(wire.told(SubscribeRejected)) == 1


@pytest.mark.parametrize("newest", [11, 5])
def test_hole_behind_a_trade_with_the_time_of_a_later_one_is_found_further_back(newest: int) -> None:
    """The exchange's clock was ahead for a moment: from that time on REST has what is not missing, or nothing."""
    wire = live(rest_per_second=100.0)
    wire.receive(trades(3).replace(timestamp(3).encode(), timestamp(9).encode()), trades(5))
    tape = RestTape(range(1, newest + 1))
    for _ in range(2):
        fetch = fetched(wire)
        wire.answer(fetch, tape.answer(fetch))
    assert (ids(wire), gaps(wire)) == ([3, 4, 5], [])


def test_trades_that_rest_does_not_have_are_the_gap_and_nothing_else_is() -> None:
    wire = live(rest_per_second=100.0)
    wire.receive(trades(1), trades(10))
    tape = RestTape([1, 2, 3, 6, 7, 8, 9, 10])
    first = fetched(wire)
    wire.answer(first, tape.answer(first))
    second = fetched(wire)
    assert int(param(second, "since") or 0) < int(param(first, "since") or 0), "first it looks further back"
    wire.answer(second, tape.answer(second))
    assert (ids(wire), gaps(wire)) == ([1, 2, 3, 6, 7, 8, 9, 10], [(4, 5, 2)])
    (filled,) = wire.told(Backfilled)
    assert (filled.first, filled.last, filled.count) == (2, 9, 6)
    assert wire.core.statistics().lost == 2


def test_rest_that_is_behind_is_asked_again_and_not_for_ever() -> None:
    wire = live(backfill_attempts=3, rest_per_second=100.0)
    wire.receive(trades(1), trades(4))
    answers = 0
    while wire.core.trades.holes:
        wire.advance(40)
        (fetch,) = wire.fetches()
        wire.answer(fetch, RestTape([1, 2]).answer(fetch))
        answers += 1
    assert answers == 4, "one that brought something, three that did not"
    assert (ids(wire), gaps(wire)) == ([1, 2, 4], [(3, 3, 1)])


def test_retryable_failures_are_tried_again_with_backoff_then_told() -> None:
    wire = live(backfill_attempts=3)
    wire.receive(trades(1), trades(3))
    moments = []
    for _ in range(3):
        wire.advance(40)
        (fetch,) = wire.fetches()
        moments.append(wire.now)
        wire.answer(fetch, error="HTTP 503")
    assert (ids(wire), gaps(wire)) == ([1, 3], [(2, 2, 1)])
    assert "HTTP 503" in wire.told(Gap)[0].reason
    assert len(set(moments)) == 3


def test_rate_limit_slows_all_calls_down() -> None:
    wire = live(TRADE, Key("trade", ETH), rest_per_second=10.0)
    wire.receive(trades(1), trades(3), trades(1, symbol=ETH), trades(3, symbol=ETH))
    wire.advance(0.25)
    first, *_ = wire.fetches()
    wire.answer(first, kraken_error("EAPI:Rate limit exceeded"))
    before = wire.now
    wire.fetches()
    wire.advance(4.9)
    assert wire.fetches() == []
    wire.advance(5)
    assert wire.fetches()
    assert wire.now - before >= 5 * S


def test_retry_after_is_kept() -> None:
    wire = live()
    wire.receive(trades(1), trades(3))
    wire.answer(fetched(wire), error="HTTP 429", retry_after=60.0)
    wire.advance(59)
    assert wire.fetches() == []
    wire.advance(35)
    assert len(wire.fetches()) == 1


def test_pair_that_rest_knows_by_another_name_is_asked_for_by_that() -> None:
    wire = live(rest_per_second=100.0)
    wire.receive(trades(1), trades(3))
    wire.answer(fetched(wire), kraken_error("EQuery:Unknown asset pair"))
    second = fetched(wire)
    assert param(second, "pair") == "XBTUSD"
    wire.answer(second, RestTape([1, 2, 3]).answer(second))
    assert ids(wire) == [1, 2, 3]


def test_pair_that_rest_does_not_know_at_all_is_a_gap() -> None:
    wire = live(rest_per_second=100.0)
    wire.receive(trades(1), trades(3))
    for _ in range(2):
        wire.answer(fetched(wire), kraken_error("EQuery:Unknown asset pair"))
    assert (ids(wire), gaps(wire)) == ([1, 3], [(2, 2, 1)])


def test_hole_that_is_open_too_long_is_given_up_and_what_was_held_goes_on() -> None:
    wire = live(backfill_timeout=20.0)
    wire.receive(trades(1), trades(3), trades(4), trades(7))
    wire.advance(30)
    assert (ids(wire), gaps(wire)) == ([1, 3, 4, 7], [(2, 2, 1), (5, 6, 2)])
    (fetch,) = wire.fetches()
    assert wire.answer(fetch, RestTape(range(1, 8)).answer(fetch)) == [], "too late"
    wire.receive(trades(8))
    assert ids(wire)[-1] == 8


def test_overlap_of_many_pages_is_no_failure() -> None:
    wire = live(rest_per_second=100.0, backfill_attempts=2)
    wire.receive(trades(900), trades(1000))
    tape = RestTape([i for i in range(1, 1001) if i != 950], page=60)
    for _ in range(100):
        wire.advance(1)
        for fetch in wire.fetches():
            wire.answer(fetch, tape.answer(fetch))
    assert (ids(wire), gaps(wire)) == ([*range(900, 950), *range(951, 1001)], [(950, 950, 1)])


def test_no_more_is_held_back_than_the_bound_and_the_rest_is_fetched() -> None:
    wire = live(backfill_hold=10, rest_per_second=100.0)
    wire.receive(trades(1), *(trades(i) for i in range(5, 100)))
    assert wire.core.trades.held == 10
    while wire.core.trades.holes:
        fetch = fetched(wire)
        wire.answer(fetch, RestTape(range(1, 100), page=30).answer(fetch))
    assert (ids(wire), gaps(wire)) == (list(range(1, 100)), [])


def test_hole_beyond_the_limit_is_filled_as_far_as_that_and_the_rest_is_told() -> None:
    wire = live(backfill_limit=100, rest_per_second=100.0)
    wire.receive(trades(1), trades(500))
    tape = RestTape(range(1, 501), page=60)
    while wire.core.trades.holes:
        fetch = fetched(wire)
        wire.answer(fetch, tape.answer(fetch))
    given = ids(wire)
    assert given == [*range(1, len(given)), 500]
    assert 100 <= len(given) <= 125
    assert gaps(wire) == [(len(given), 499, 500 - len(given))]


def test_calls_are_paced_and_no_symbol_waits_for_another_to_finish() -> None:
    symbols = [f"S{i}/USD" for i in range(5)]
    wire = live(*(Key("trade", symbol) for symbol in symbols), rest_per_second=1.0)
    for symbol in symbols:
        wire.receive(trades(1, symbol=symbol), trades(3000, symbol=symbol))
    tape, order = RestTape(range(1, 3001)), []
    for _ in range(60):
        wire.advance(1)
        found = wire.fetches()
        assert len(found) <= 2, "about one a second"
        for fetch in found:
            order.append(param(fetch, "pair"))
            wire.answer(fetch, tape.answer(fetch))
    assert order[:5] == symbols
    assert order[5:10] == symbols
    assert all(ids(wire, symbol) == list(range(1, 3001)) for symbol in symbols)


def test_client_that_is_closed_asks_nothing_more() -> None:
    wire = live()
    wire.receive(trades(1), trades(3))
    wire.core.stop("closed")
    wire._collect()
    wire.advance(10)
    assert wire.fetches() == []
    assert (ids(wire), gaps(wire)) == ([1, 3], [(2, 2, 1)]), "what it holds is not forgotten"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe",
        b"[]",
        b'{"error":[]}',
        b'{"error":[],"result":null}',
        b'{"error":[],"result":[]}',
        b'{"error":[],"result":{"last":"1"}}',
        b'{"error":[],"result":{"A":[],"B":[],"last":"1"}}',
        b'{"error":[],"result":{"A":[["NaN","1",1.0,"b","l","",2]],"last":"1"}}',
        b'{"error":[],"result":{"A":[["1","1",1e999,"b","l","",2]],"last":"1"}}',
        b'{"error":[],"result":{"A":[["1","1",1.0,"x","l","",2]],"last":"1"}}',
        b'{"error":[],"result":{"A":[["1","1",1.0,"b","l","",-2]],"last":"1"}}',
        b'{"error":[],"result":{"A":[["1","1",1.0,"b","l","",' + b"9" * 60 + b']],"last":"1"}}',
        b'{"error":[],"result":{"A":[],"last":"x"}}',
        b'{"error":[],"result":{"A":[],"last":' + b"9" * 400 + b"}}",
        b'{"error":[],"result":{"A":' + b"[" * 5000 + b"}}",
        b'{"error":["EGeneral:Invalid arguments"]}',
        b'{"error":"EGeneral:Invalid arguments"}',
    ],
)
def test_hostile_answers_end_in_a_gap_and_never_in_an_exception(body: bytes) -> None:
    wire = live(backfill_attempts=2, rest_per_second=100.0)
    wire.receive(trades(1), trades(3))
    for _ in range(10):
        wire.advance(20)
        for fetch in wire.fetches():
            wire.answer(fetch, body)
    assert (ids(wire), gaps(wire)) == ([1, 3], [(2, 2, 1)])
    wire.receive(trades(4))
    assert ids(wire) == [1, 3, 4]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_to_an_answer_is_borne(data: st.DataObject) -> None:
    wire = live(backfill_attempts=2, rest_per_second=100.0)
    wire.receive(trades(1), trades(9))
    good = trades_body(range(1, 10))
    at = data.draw(st.integers(0, len(good)))
    upto = data.draw(st.integers(at, min(len(good), at + 12)))
    bad = good[:at] + data.draw(st.binary(max_size=8)) + good[upto:]
    for _ in range(8):
        wire.advance(61)
        for fetch in wire.fetches():
            wire.answer(fetch, bad)
    given = ids(wire)
    missing = [i for first, last, _ in gaps(wire) for i in range(first or 0, (last or 0) + 1)]
    assert given == sorted(set(given))
    assert sorted(given + missing) == list(range(1, 10))
    assert wire.core.trades.holes == ()


# --- any order of anything -------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_output_is_the_exchanges_sequence_whatever_is_lost_repeated_or_cut(data: st.DataObject) -> None:
    """The exchange trades; frames are lost, doubled and swapped, the socket is cut, REST fails, lags and forgets."""
    draw = data.draw
    wire = live(backfill_attempts=3, rest_per_second=50.0, backfill_hold=draw(st.sampled_from([3, 10_000])))
    tape: list[int] = []
    forgotten: set[int] = set()
    pending: list[Fetch] = []
    connected = True
    kept: bytes | None = None
    wire.receive(trades(1))
    tape.append(1)
    for _ in range(draw(st.integers(1, 40))):
        action = draw(
            st.sampled_from(
                [
                    "trade",
                    "trade",
                    "trade",
                    "lose",
                    "double",
                    "swap",
                    "cut",
                    "connect",
                    "answer",
                    "fail",
                    "wait",
                    "forget",
                ]
            )
        )
        if action in ("trade", "lose", "swap", "double"):
            new = list(range(len(tape) + 1, len(tape) + 1 + draw(st.integers(1, 4))))
            tape += new
            frame = trades(*new)
            if connected and action == "trade":
                wire.receive(frame)
                if kept is not None:
                    wire.receive(kept)
                    kept = None
            elif connected and action == "double":
                wire.receive(frame, frame)
            elif connected and action == "swap":
                kept = frame
        elif action == "cut" and connected:
            wire.disconnect()
            connected, kept = False, None
        elif action == "connect" and not connected:
            wire.connect()
            connected = True
            for request in wire.sent():
                wire.receive(*acks(request))
                if request["params"].get("snapshot"):
                    wire.receive(trades(*tape[-5:], kind="snapshot"))
        elif action == "forget" and len(tape) > 2:
            forgotten.add(draw(st.sampled_from(tape[1:])))
        elif action == "wait":
            wire.advance(draw(st.sampled_from([0.1, 1.0, 10.0])))
        elif pending:
            fetch = pending.pop(0)
            if action == "fail":
                wire.answer(fetch, error="HTTP 500")
            else:
                lag = draw(st.integers(0, 3))
                known = [i for i in tape[: len(tape) - lag] if i not in forgotten]
                wire.answer(fetch, RestTape(known, page=draw(st.sampled_from([2, 1000]))).answer(fetch))
        pending += wire.fetches()
    if not connected:
        wire.connect()
        for request in wire.sent():
            wire.receive(*acks(request))
    tape.append(len(tape) + 1)
    wire.receive(trades(tape[-1]))
    for _ in range(400):
        if not wire.core.trades.holes:
            break
        wire.advance(1)
        for fetch in [*pending, *wire.fetches()]:
            wire.answer(fetch, RestTape([i for i in tape if i not in forgotten]).answer(fetch))
        pending.clear()
    assert wire.core.trades.holes == ()
    given = ids(wire)
    missing = [i for first, last, _ in gaps(wire) for i in range(first or 0, (last or 0) + 1)]
    assert given == sorted(set(given)), "each once, in order"
    assert not set(given) & set(missing)
    assert sorted(given + missing) == tape, "every trade is given or named"
    for first, last, count in gaps(wire):
        assert first is not None
        assert last is not None
        assert count == last - first + 1
    assert wire.core.statistics().lost == len(missing)
    assert wire.core.trades.held == 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_two_connections_give_what_either_has_and_fetch_only_what_neither_has(data: st.DataObject) -> None:
    draw = data.draw
    wire = live(rest_per_second=50.0)
    wire.core.trades.hold(BTC, "public~")
    count = draw(st.integers(2, 30))
    losses = [set(draw(st.lists(st.integers(2, count), max_size=8))) for _ in range(2)]
    queues = [[i for i in range(1, count + 1) if i not in lost] for lost in losses]
    last = count + 1
    for queue in queues:
        queue.append(last)  # so that a loss at the end shows
    wire.receive(trades(1))
    while any(queues):
        which = draw(st.sampled_from([0, 1]))
        queue = queues[which] or queues[1 - which]
        which = which if queues[which] else 1 - which
        frame = trades(*(queue.pop(0) for _ in range(min(len(queue), draw(st.integers(1, 3))))))
        if which:
            over_second(wire, frame)
        else:
            wire.receive(frame)
    neither = losses[0] & losses[1]
    if not neither:
        assert ids(wire) == list(range(1, last + 1))
        assert wire.core.trades.holes == ()
    for _ in range(20):
        wire.advance(1)
        for fetch in wire.fetches():
            wire.answer(fetch, RestTape(range(1, last + 1)).answer(fetch))
    assert ids(wire) == list(range(1, last + 1))
    assert gaps(wire) == []
    fetched_ids = {event.trade_id for event in wire.told(Trade) if event.source == "backfill"}
    assert fetched_ids <= neither | (losses[0] | losses[1])
    assert neither <= fetched_ids


def test_trade_that_comes_after_the_unsubscribe_is_nothing_to_go_on_from() -> None:
    wire = live()
    wire.receive(trades(7))
    wire.unsubscribe(TRADE)
    for request in wire.sent():
        wire.receive(*acks(request))
    wire.receive(trades(8))
    wire.advance(600)
    wire.subscribe(TRADE)
    for request in wire.sent():
        wire.receive(*acks(request))
    wire.receive(trades(1000))
    wire.advance(5)
    assert ids(wire) == [7, 8, 1000]
    assert wire.fetches() == []


def test_trades_of_symbols_that_nobody_wants_are_not_remembered() -> None:
    wire = live()
    wire.receive(trades(7), *(trades(number, symbol=f"S{number}/USD") for number in range(100)))
    assert len(wire.told(Trade)) == 101
    assert list(wire.core.trades._streams) == [BTC]
