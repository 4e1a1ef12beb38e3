"""Probes that prove nothing: REST is asked what had happened, and the stream is looked at again soon."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from helpers.quiet import KEYS, QuietExchange
from krakenwire.events import Recovered, Stalled, Stamp
from krakenwire.protocol.continuity.fetching import Fetcher
from krakenwire.protocol.liveness.findings import Inquire
from krakenwire.protocol.liveness.inquiry import inquire
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Fetch, Outputs
from krakenwire.protocol.subscriptions import Key

BTC = "BTC/USD"
S = 1_000_000_000


def calls(exchange: QuietExchange) -> list[str]:
    return [action.call for action in exchange.wire.actions if isinstance(action, Fetch) and action.call != "OHLC"]


def happen(exchange: QuietExchange, channel: str, level: int) -> None:
    """Something of which the channel tells; of a book, one of its levels."""
    if channel == "book":
        exchange.set_level("bids", f"{98 - level}.0", f"{exchange.now:.8f}")
    else:
        exchange.trade()


def quiet(channel: str, **options: Any) -> QuietExchange:
    """A stream of which something was told ten seconds ago."""
    exchange = QuietExchange(rtt=0.2, **options)
    exchange.wire.subscribe(KEYS[channel])
    exchange.run(1)
    for level in range(9):
        happen(exchange, channel, level)
    exchange.run(10)
    return exchange


def run_until_probed(exchange: QuietExchange) -> None:
    asked = len(exchange.requests)
    exchange.run(300, until=lambda: exchange.requests[asked:] and exchange.requests[-1][1]["method"] == "unsubscribe")
    assert exchange.requests[-1][1]["method"] == "unsubscribe"


def move_while_it_is_left(exchange: QuietExchange, channel: str) -> None:
    """Run until the stream is probed; between its end and its new beginning something happens."""
    run_until_probed(exchange)
    exchange.at(exchange.now + 0.2, lambda: happen(exchange, channel, 1))
    exchange.run(3)


@pytest.mark.parametrize(("channel", "call"), [("book", "Depth"), ("ticker", "Trades"), ("ohlc", "Trades")])
def test_what_a_mute_stream_withheld_is_found_by_rest(channel: str, call: str) -> None:
    exchange = quiet(channel)
    exchange.mute.add((channel, BTC))
    exchange.run(74)  # so that the candle is open still when it is probed
    happen(exchange, channel, 5)
    move_while_it_is_left(exchange, channel)
    assert calls(exchange) == [call]
    (stalled,), (recovered,) = exchange.wire.told(Stalled), exchange.wire.told(Recovered)
    assert (stalled.of, stalled.symbol, stalled.evidence) == (channel, BTC, "probe")
    assert stalled.silent_ns > 80 * S
    assert recovered.by == "resubscribe"


@pytest.mark.parametrize("channel", ["book", "ticker", "ohlc"])
def test_what_happened_just_then_is_looked_up_and_is_no_stall(channel: str) -> None:
    exchange = quiet(channel)
    move_while_it_is_left(exchange, channel)
    assert len(calls(exchange)) == 1
    run_until_probed(exchange)
    left_at = exchange.now
    exchange.run(300)
    assert not exchange.wire.told(Stalled)
    probes = [at for at, request in exchange.requests if request["method"] == "unsubscribe"]
    assert probes[1] == left_at < probes[0] + 15, "it is looked at again soon"
    assert probes[2] > probes[1] + 60, "and trusted when that shows nothing new"


def test_without_rest_nothing_is_told_of_what_cannot_be_known() -> None:
    exchange = quiet("book")
    exchange.rest = False
    exchange.mute.add(("book", BTC))
    happen(exchange, "book", 5)
    move_while_it_is_left(exchange, "book")
    exchange.run(300)
    assert not exchange.wire.told(Stalled)
    assert exchange.wire.state().status == "synced"


def test_trades_tell_their_times_themselves() -> None:
    exchange = quiet("trade")
    move_while_it_is_left(exchange, "trade")
    assert calls(exchange) == []
    assert not exchange.wire.told(Stalled)


def test_stream_that_only_ever_brings_snapshots_is_found_at_the_second_look() -> None:
    exchange = quiet("book")
    exchange.cures, exchange.snapshots = "none", True
    exchange.mute.add(("book", BTC))
    move_while_it_is_left(exchange, "book")
    assert not exchange.wire.told(Stalled)
    happen(exchange, "book", 7)
    began = exchange.now
    exchange.run(90, until=lambda: exchange.wire.told(Stalled))
    assert exchange.now - began < 15


@pytest.mark.parametrize("rtt", [0.4, 1.2])
@pytest.mark.parametrize("channel", ["trade", "ticker", "ohlc"])
def test_message_before_the_snapshot_does_not_hide_what_was_withheld(channel: str, rtt: float) -> None:
    exchange = quiet(channel)
    exchange.rtt = rtt
    exchange.mute.add((channel, BTC))
    exchange.trade()
    run_until_probed(exchange)
    exchange.at(exchange.now + 1.55 * rtt, exchange.trade)  # of the new subscription, and before its answer
    exchange.run(10)
    assert len(exchange.wire.told(Stalled)) == len(exchange.wire.told(Recovered)) == 1


def test_stream_that_speaks_and_has_no_snapshot_is_no_stall() -> None:
    exchange = quiet("trade")
    exchange.rtt = 1.2
    run_until_probed(exchange)
    exchange.at(exchange.now + 1.0, lambda: exchange.mute.add(("trade", BTC)))
    exchange.at(exchange.now + 1.9, exchange.mute.clear)  # its snapshot is lost
    exchange.at(exchange.now + 2.5, exchange.trade)
    exchange.run(30)
    assert not exchange.wire.told(Stalled)


def test_ticker_of_quotes_has_no_history_anywhere() -> None:
    exchange = QuietExchange(rtt=0.2)
    exchange.wire.subscribe(Key("ticker", BTC, "bbo"))
    exchange.run(10)
    run_until_probed(exchange)
    exchange.at(exchange.now + 0.2, lambda: exchange.quote("99.5", "100.5"))
    exchange.run(5)
    assert calls(exchange) == []
    assert not exchange.wire.told(Stalled)


# --- what REST answers -----------------------------------------------------------------------------------------------

HELD = ((("99.0", "1.00000000"), ("98.0", "2.00000000")), (("101.0", "1.00000000"), ("102.0", "2.00000000")))
BOOK = Inquire(Key("book", BTC, 10), 1000 * S, 1090 * S, 90 * S, False, HELD)
FULL = BOOK._replace(key=Key("book", BTC, 2))
TICKER = Inquire(Key("ticker", BTC, "trades"), 1000 * S, 1090 * S, 90 * S, False)


class Rest:
    """Asks, and answers what a test says."""

    def __init__(self, question: Inquire) -> None:
        self.out = Outputs()
        self.fetcher = Fetcher(Options(), self.out, random.Random(1))
        self.proven: list[Inquire] = []
        self.now = 0
        inquire(self.fetcher, question, lambda question, _stamp, _n: self.proven.append(question))

    def answer(self, body: bytes | None, *, retryable: bool = False) -> dict[str, str]:
        """Answer what was asked; what was asked for."""
        self.now += 60 * S
        self.fetcher.flush(self.now)
        fetch = self.out.actions.pop()
        assert isinstance(fetch, Fetch)
        stamp = Stamp("", 0, self.now, self.now)
        self.fetcher.receive(
            fetch.number, body, None if body else "no route", stamp, 1, retryable=retryable, retry_after=None
        )
        return {"call": fetch.call, **dict(fetch.params)}


def depth(bids: list[Any], asks: list[Any] | None = None) -> bytes:
    return json.dumps({"error": [], "result": {"XXBTZUSD": {"bids": bids, "asks": asks or []}}}).encode()


def trades(*times: float) -> bytes:
    rows = [["100.5", "0.25", at, "b", "m", "", 1000 + i] for i, at in enumerate(times)]
    return json.dumps({"error": [], "result": {"XXBTZUSD": rows, "last": "0"}}).encode()


@pytest.mark.parametrize(
    ("question", "bids", "asks", "is_proven"),
    [
        (BOOK, [["97.0", "1.000", 1050]], [], True),  # a level that was never told
        (BOOK, [["98.0", "3.000", 1050]], [], True),  # another quantity
        (BOOK, [], [["100.0", "3.000", 1050]], True),
        (BOOK, [["98.0", "2.000", 1050]], [], False),  # touched, and as it was
        (BOOK, [["97.0", "1.000", 999]], [], False),  # told before
        (BOOK, [["97.0", "1.000", 1000]], [], False),  # whole seconds: perhaps before
        (BOOK, [["97.0", "1.000", 1001]], [], True),
        (BOOK, [["97.0", "1.000", 1089]], [], True),
        (BOOK, [["97.0", "1.000", 1090]], [], False),  # as it was left, or since
        (FULL, [["97.0", "1.000", 1050]], [], False),  # beyond the depth: it came in when another went
        (FULL, [], [["103.0", "1.000", 1050]], False),
        (FULL, [["98.5", "1.000", 1050]], [], True),
        (FULL, [], [["101.5", "1.000", 1050]], True),
        (BOOK, [], [], False),
    ],
)
def test_level_that_is_not_what_was_held_and_changed_in_the_time_in_question_is_proof(
    question: Inquire, bids: list[Any], asks: list[Any], is_proven: bool
) -> None:
    rest = Rest(question)
    asked = rest.answer(depth(bids, asks))
    assert asked == {"call": "Depth", "pair": BTC, "count": str(question.key.depth)}
    assert rest.proven == [question] * is_proven


@pytest.mark.parametrize(
    ("times", "is_proven"),
    [((1050.0,), True), ((999.9,), False), ((1090.0,), False), ((1000.0,), False), ((1090.1, 1091.0), False)],
)
def test_trade_in_the_time_in_question_is_proof(times: tuple[float, ...], is_proven: bool) -> None:
    rest = Rest(TICKER)
    assert rest.answer(trades(*times)) == {"call": "Trades", "pair": BTC, "since": str(1000 * S), "count": "10"}
    assert rest.proven == [TICKER] * is_proven


@pytest.mark.parametrize(
    "body",
    [
        None,
        b'{"error":["EGeneral:Invalid arguments"]}',
        b'{"error":[],"result":{}}',
        b'{"error":[],"result":{"A":{"bids":[["x","1",1]],"asks":[]}}}',
        b'{"error":[],"result":{"A":{"bids":[["97","1e999999",1050]],"asks":[]}}}',
        b'{"error":[],"result":{"A":{"bids":[["97","1",-1]],"asks":[]}}}',
        b'{"error":[],"result":{"A":{"bids":[],"asks":[]},"B":{"bids":[],"asks":[]}}}',
    ],
)
@pytest.mark.parametrize("question", [BOOK, TICKER])
def test_answer_that_is_none_proves_nothing(question: Inquire, body: bytes | None) -> None:
    rest = Rest(question)
    rest.answer(body)
    assert rest.proven == []
    assert len(rest.fetcher) == 0, "nor is it asked again"


@pytest.mark.parametrize("question", [BOOK, TICKER])
def test_where_rest_fails_an_unusual_silence_has_to_do(question: Inquire) -> None:
    question = question._replace(is_unusual=True)
    rest = Rest(question)
    rest.answer(None)
    assert rest.proven == [question]
    rest = Rest(question)
    rest.answer(depth([]) if question.key == BOOK.key else trades())
    assert rest.proven == []


def test_pair_is_asked_for_by_its_other_name() -> None:
    rest = Rest(TICKER)
    rest.answer(b'{"error":["EQuery:Unknown asset pair"]}')
    assert rest.answer(trades(1050.0))["pair"] == "XBTUSD"
    assert rest.proven == [TICKER]


def test_no_more_is_asked_than_can_be_answered_in_time() -> None:
    fetcher = Fetcher(Options(), Outputs(), random.Random(1))
    proven: Callable[..., None] = lambda *_: None  # noqa: E731  # its type is the point
    for _ in range(200):
        inquire(fetcher, TICKER, proven)
    assert len(fetcher) == 50
