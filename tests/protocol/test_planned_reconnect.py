"""Connections that are opened anew by our own wish: because somebody asked, by the clock, or after an outage."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import pytest

from helpers.wire import Exchange, S, Wire, book
from krakenwire.errors import UsageError
from krakenwire.events import Disconnected, Reconnected, Stamp
from krakenwire.protocol.core import MAIN, Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.outputs import Close, Open, Send
from krakenwire.protocol.rotation import Every, Schedule

BTC = "BTC/USD"


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


def status(system: str) -> bytes:
    return b'{"channel":"status","type":"update","data":[{"system":"%s","api_version":"v2"}]}' % system.encode()


class Served(Wire):
    """A wire whose exchange answers at once, unless it `is_slow`, and on which what is closed is opened anew."""

    def __init__(self, *, every: Every | None = None, **options: Any) -> None:
        super().__init__()
        self.core = Core(Options(**options), reconnect_every=every)
        self.is_slow = False
        self.exchanges = {MAIN: Exchange()}
        self._waiting: list[Send] = []
        self._done = 0

    def begin(self) -> Served:
        """Started, with a book that is proven."""
        self.start()
        self.subscribe(book(BTC))
        self.serve(1)
        return self

    def serve(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 10)):
            self.advance(0.1)
            self._serve()

    def reopen(self, connection: str = MAIN, reason: str = "cut") -> None:
        """A socket ended; the next one is open at once, and knows of nothing."""
        self.disconnect(connection, reason=reason)
        self.exchanges[connection] = Exchange()
        self.connect(connection)

    def plan(self, connection: str | None = None) -> None:
        """Ask for a reconnect."""
        self.core.reconnect(connection, "as planned", self.stamp(""))
        self._collect()

    def _serve(self) -> None:
        while self._done < len(self.actions):
            action = self.actions[self._done]
            self._done += 1
            if isinstance(action, Close):
                self._waiting = [send for send in self._waiting if send.connection != action.connection]
                self.reopen(action.connection, action.reason)
            elif isinstance(action, Open) and action.connection != MAIN:
                self.exchanges[action.connection] = Exchange()
                self.connect(action.connection)
            elif isinstance(action, Send):
                self._waiting.append(action)
        if not self.is_slow:
            waiting, self._waiting = self._waiting, []
            for send in waiting:
                answers = self.exchanges[send.connection].answer([json.loads(send.text)])
                self.receive(*answers, connection=send.connection)


def test_reconnect_closes_cleanly_and_is_told_as_planned() -> None:
    wire = Served().begin()
    wire.plan()
    close = only(wire.closed)
    assert (close.connection, close.reason, close.retire) == ("public", "as planned", False)
    wire.serve(1)
    event = only(wire.told(Reconnected))
    assert (event.planned, event.books, event.subscriptions) == (True, 1, 1)


def test_connection_that_nobody_knows_is_refused_by_name() -> None:
    wire = Served().begin()
    with pytest.raises(UsageError, match="no connection 'l3'"):
        wire.core.reconnect("l3", "", wire.stamp(""))


def test_connection_that_is_not_open_is_left_alone() -> None:
    wire = Served().begin()
    wire.disconnect()
    wire.plan("public")
    assert wire.closed == []
    wire.exchanges[MAIN] = Exchange()
    wire.connect()
    wire.serve(1)
    assert only(wire.told(Reconnected)).planned is False


def test_loss_on_the_way_back_makes_it_unplanned() -> None:
    wire = Served().begin()
    wire.plan()
    wire.is_slow = True
    wire.serve(0.1)
    wire.reopen()
    wire.is_slow = False
    wire.serve(1)
    assert only(wire.told(Reconnected)).planned is False


def test_connections_take_turns_and_the_next_waits_until_the_last_has_everything_back() -> None:
    wire = Served().begin()
    wire.subscribe(book(BTC, 100))
    wire.serve(1)
    assert len(wire.core.sessions) == 2
    wire.plan()
    wire.is_slow = True
    wire.serve(3)
    assert [close.connection for close in wire.closed] == ["public"]
    wire.is_slow = False
    wire.serve(3)
    assert [close.connection for close in wire.closed] == ["public", "public-2"]
    assert [(event.connection, event.planned) for event in wire.told(Reconnected)] == [
        ("public", True),
        ("public-2", True),
    ]
    wire.serve(5)
    assert len(wire.closed) == 2


# --- after an outage -------------------------------------------------------------------------------------------------


def test_connection_is_opened_anew_when_the_engine_comes_back() -> None:
    wire = Served().begin()
    wire.receive(status("online"), status("maintenance"))
    wire.serve(9)
    assert wire.closed == []
    wire.receive(status("cancel_only"), status("post_only"))
    wire.serve(9)
    assert wire.closed == []
    wire.receive(status("online"))
    wire.serve(6)
    assert only(wire.closed).reason == "the engine is online again"
    assert only(wire.told(Reconnected)).planned is True
    wire.receive(status("online"))
    wire.serve(6)
    assert len(wire.closed) == 1


@pytest.mark.parametrize("between", ["cancel_only", "post_only", "online"])
def test_engine_that_went_on_running_is_no_reason(between: str) -> None:
    wire = Served().begin()
    wire.receive(status("online"), status(between), status("online"))
    wire.serve(10)
    assert wire.closed == []


def test_status_that_nobody_knows_is_taken_for_an_outage() -> None:
    wire = Served().begin()
    wire.receive(status("hibernating"), status("online"))
    wire.serve(6)
    assert len(wire.closed) == 1


def test_connection_opened_during_the_outage_is_opened_anew_too() -> None:
    wire = Served().begin()
    wire.receive(status("maintenance"))
    wire.reopen()
    wire.receive(status("maintenance"))
    wire.serve(1)
    wire.receive(status("online"))
    wire.serve(6)
    assert len(wire.closed) == 1


def test_connection_opened_after_the_outage_is_fresh() -> None:
    wire = Served().begin()
    wire.receive(status("maintenance"))
    wire.reopen()
    wire.receive(status("online"))
    wire.serve(10)
    assert wire.closed == []


def test_outage_can_be_ignored() -> None:
    wire = Served(reconnect_on_status=False).begin()
    wire.receive(status("maintenance"), status("online"))
    wire.serve(10)
    assert wire.closed == []


def test_not_everybody_returns_at_once_after_an_outage() -> None:
    delays = set()
    for seed in range(8):
        wire = Served(seed=seed).begin()
        wire.receive(status("maintenance"), status("online"))
        start = wire.now
        wire.serve(6)
        delays.add(round((only(wire.told(Disconnected)).received_mono_ns - start) / S, 1))
    assert len(delays) > 4
    assert max(delays) <= 5.2


# --- by the clock ----------------------------------------------------------------------------------------------------


def test_schedule_opens_all_connections_anew_again_and_again() -> None:
    wire = Served(every=timedelta(minutes=10)).begin()
    wire.serve(3600)
    assert len(wire.told(Reconnected)) in (5, 6)
    assert all(event.planned for event in wire.told(Reconnected))
    assert {event.reason for event in wire.told(Disconnected)} == {"on schedule"}


def test_time_of_day_is_that_of_utc_every_day() -> None:
    wire = Served().begin()
    began = wire.stamp("").received_ns // S
    schedule = Schedule(time(3, 30), random.Random(1))
    at = schedule.next_after(wire.stamp(""))
    utc = datetime.fromtimestamp(began + (at - wire.now) / S, UTC)
    assert datetime(utc.year, utc.month, utc.day, 3, 30, tzinfo=UTC) <= utc
    assert utc < datetime(utc.year, utc.month, utc.day, 3, 31, tzinfo=UTC)
    assert 0 < at - wire.now <= 86_460 * S
    later = schedule.next_after(Stamp("", 0, (began * S) + at - wire.now, at))
    assert 86_300 * S < later - at <= 86_460 * S


def test_period_has_jitter_of_a_tenth_and_never_comes_early() -> None:
    schedule = Schedule(timedelta(seconds=100), random.Random(3))
    waits = [schedule.next_after(Stamp("", 0, 0, 0)) / S for _ in range(200)]
    assert 100 <= min(waits) < 101
    assert 109 < max(waits) <= 110


@pytest.mark.parametrize(
    ("every", "complaint"),
    [
        (timedelta(seconds=59), "at least 60 s"),
        (3600, "a timedelta or a time of day"),
        (time(3, tzinfo=timezone(timedelta(hours=1))), "in UTC"),
    ],
)
def test_schedule_that_cannot_be_is_refused(every: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Core(reconnect_every=every)
