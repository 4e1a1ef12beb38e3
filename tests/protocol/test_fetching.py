"""REST calls of the core: paced, tried again where that helps, and each answered once."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from helpers.rest import kraken_error
from krakenwire.events import Stamp
from krakenwire.protocol.continuity.fetching import MOST_IN_FLIGHT, Answer, Fetcher
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Fetch, Outputs
from krakenwire.protocol.wire.rest import RestTrouble, classify_rest, decode_envelope, pair_spellings

S = 1_000_000_000
GOOD = b'{"error":[],"result":{"a":1}}'


class Desk:
    """A fetcher, its time, and what came of it."""

    def __init__(self, **options: Any) -> None:
        self.out = Outputs()
        self.fetcher = Fetcher(Options(**options), self.out, random.Random(1))
        self.now = 0
        self.answers: list[Answer] = []

    def ask(self, call: str = "Trades", *, urgent: bool = False, not_before: int = 0) -> int:
        return self.fetcher.ask(
            call, (), lambda answer, _now, _n: self.answers.append(answer), urgent=urgent, not_before=not_before
        )

    def give(self, fetch: Fetch, body: bytes | None = GOOD, error: str | None = None, **more: Any) -> None:
        how: dict[str, Any] = {"retryable": True, "retry_after": None} | more
        self.fetcher.receive(fetch.number, body, error, Stamp("", 0, self.now, self.now), 1, **how)

    def calls(self, seconds: float = 0) -> list[tuple[float, Fetch]]:
        """What goes out within so much time, and when."""
        goal, found = self.now + round(seconds * S), []
        while True:
            self.fetcher.flush(self.now)
            found += [(self.now / S, action) for action in self.out.actions if isinstance(action, Fetch)]
            self.out.actions.clear()
            deadline = self.fetcher.next_deadline()
            if deadline is None or deadline > goal:
                self.now = goal
                return found
            self.now = max(self.now, deadline)


def test_calls_go_out_at_the_rate_and_urgent_ones_first() -> None:
    desk = Desk(rest_per_second=2.0)
    for name in "abc":
        desk.ask(name)
    desk.ask("urgent", urgent=True)
    calls = desk.calls(10)
    assert [fetch.call for _, fetch in calls] == ["urgent", "a", "b", "c"]
    moments = [moment for moment, _ in calls]
    assert moments[-1] >= 1.0, "no more than one more than the rate allows"
    assert all(after - before in (0.0, 0.5) for before, after in pairwise(moments))


def test_no_more_are_under_way_than_the_bound() -> None:
    desk = Desk(rest_per_second=100.0)
    for _ in range(20):
        desk.ask()
    calls = desk.calls(10)
    assert len(calls) == MOST_IN_FLIGHT
    desk.give(calls[0][1])
    assert len(desk.calls(10)) == 1


def test_answer_comes_once_and_only_to_who_still_waits() -> None:
    desk = Desk()
    desk.ask()
    ((_, fetch),) = desk.calls()
    desk.give(fetch)
    desk.give(fetch)
    assert desk.answers == [Answer(b'{"a":1}')]
    number = desk.ask()
    ((_, fetch),) = desk.calls(5)
    desk.fetcher.cancel(number)
    desk.give(fetch)
    assert len(desk.answers) == 1
    assert len(desk.fetcher) == 0


def test_failures_are_tried_again_later_and_later_and_then_told() -> None:
    desk = Desk(backfill_attempts=6, rest_per_second=1000.0)
    desk.ask()
    moments = []
    while not desk.answers:
        ((moment, fetch),) = desk.calls(60)[:1]
        moments.append(moment)
        desk.now = round(moment * S)
        desk.give(fetch, None, "HTTP 503")
    waits = [after - before for before, after in pairwise(moments)]
    assert len(moments) == 6
    assert all(0 <= wait <= 2**number for number, wait in enumerate(waits))
    assert max(waits) > 1
    assert len(set(waits)) == len(waits), "with jitter"
    assert desk.answers == [Answer(None, "HTTP 503", RestTrouble.LATER)]


@pytest.mark.parametrize(
    ("body", "error", "retryable"),
    [(kraken_error("EGeneral:Invalid arguments"), None, True), (None, "HTTP 404", False)],
)
def test_what_would_fail_again_is_not_tried_again(body: bytes | None, error: str | None, retryable: bool) -> None:
    desk = Desk()
    desk.ask()
    ((_, fetch),) = desk.calls()
    desk.give(fetch, body, error, retryable=retryable)
    assert desk.answers[0].trouble is RestTrouble.FINAL


@pytest.mark.parametrize("wait", [float("inf"), 1e300, -5.0])
def test_absurd_retry_after_neither_raises_nor_silences_for_ever(wait: float) -> None:
    desk = Desk()
    desk.ask()
    ((_, fetch),) = desk.calls()
    desk.give(fetch, None, "HTTP 429", retry_after=wait)
    assert len(desk.calls(2000)) == 1


def test_stopped_it_asks_nothing_and_tells_nobody() -> None:
    desk = Desk()
    desk.ask()
    desk.ask()
    ((_, fetch),) = desk.calls()
    desk.fetcher.stop()
    desk.give(fetch)
    assert (desk.calls(100), desk.answers, desk.fetcher.next_deadline()) == ([], [], None)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        ("EAPI:Rate limit exceeded", RestTrouble.RATE),
        ("EGeneral:Too many requests", RestTrouble.RATE),
        ("EService: Throttled: 1700000000", RestTrouble.RATE),
        ("EService:Unavailable", RestTrouble.LATER),
        ("EService:Busy", RestTrouble.LATER),
        ("EGeneral:Internal error", RestTrouble.LATER),
        ("EQuery:Unknown asset pair", RestTrouble.PAIR),
        ("EGeneral:Invalid arguments:since", RestTrouble.FINAL),
        ("something new", RestTrouble.FINAL),
    ],
)
def test_errors_are_told_apart_by_how_they_begin(error: str, trouble: RestTrouble) -> None:
    assert classify_rest(error) is trouble


def test_warning_is_no_error() -> None:
    assert decode_envelope(b'{"error":["WGeneral:Odd"],"result":{}}') == (b"{}", None)


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("BTC/USD", ("BTC/USD", "XBTUSD")),
        ("DOGE/EUR", ("DOGE/EUR", "XDGEUR")),
        ("ETH/BTC", ("ETH/BTC", "ETHXBT")),
        ("SOL/USD", ("SOL/USD", "SOLUSD")),
    ],
)
def test_pair_has_the_names_that_rest_may_know(symbol: str, names: tuple[str, ...]) -> None:
    assert pair_spellings(symbol) == names
