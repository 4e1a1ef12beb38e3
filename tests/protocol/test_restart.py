"""A program ends, and another goes on from the state that it left."""

from __future__ import annotations

import pytest

from helpers.wire import Exchange, S, Wire, book, trades
from krakenwire.errors import UsageError
from krakenwire.events import BookInvalidated, Connected, Disconnected, Reconnected, Trade
from krakenwire.protocol.core import MAIN
from krakenwire.protocol.outputs import Open
from krakenwire.protocol.subscriptions import Key, State

BTC = "BTC/USD"
TRADE = Key("trade", BTC)


def settle(wire: Wire, exchange: Exchange, seconds: float = 1.0) -> None:
    """Answer whatever is asked, for a while."""
    for _ in range(round(seconds / 0.25) + 1):
        wire.receive(*exchange.answer(wire.sent()))
        wire.advance(0.25)


@pytest.fixture
def wire() -> Wire:
    """A book and trades, all of them there."""
    wire = Wire().start()
    wire.subscribe(Key("instrument"), book(BTC), TRADE)
    settle(wire, Exchange(), 3)
    wire.receive(trades(1, 2, 3, kind="snapshot"), trades(4))
    assert {sub.state for sub in wire.session().table} == {State.ACTIVE}
    wire.news()
    wire.fetches()
    return wire


def restart(wire: Wire, seconds: float, n: int | None = None) -> None:
    """Another program goes on, so much later."""
    wire.now += round(seconds * S)
    wire.core.restart(wire.core.n + 1 if n is None else n, wire.stamp(""))
    wire._collect()


def test_what_was_open_is_told_lost_when_it_spoke_last_and_is_wanted_again(wire: Wire) -> None:
    seen = wire.now
    wire.receive(b'{"channel":"heartbeat"}')
    before = len(wire.actions)
    restart(wire, 100)
    (lost,) = wire.told(Disconnected)
    assert (lost.reason, lost.terminal, lost.planned) == ("the program ended", False, False)
    assert lost.stamp.received_mono_ns == seen
    assert lost.stamp.received_ns == 1_700_000_000 * S + seen
    assert [event.reason for event in wire.told(BookInvalidated)] == ["disconnected"]
    assert wire.actions[before:] == [Open(MAIN)]


def test_subscriptions_come_back_and_trades_go_on_where_they_were(wire: Wire) -> None:
    restart(wire, 100)
    wire.connect()
    assert wire.told(Connected)[-1].stamp.epoch == 1
    settle(wire, Exchange(), 3)
    wire.news()
    wire.receive(trades(3, 4, 5, 6, kind="snapshot"), trades(7))
    given = [event.trade_id for event in wire.news() if isinstance(event, Trade)]
    assert given == [5, 6, 7]
    assert wire.state().status == "synced"
    (back,) = wire.told(Reconnected)
    assert back.downtime_ns >= 100 * S


def test_numbers_go_on_after_those_that_may_have_been_used(wire: Wire) -> None:
    n = wire.core.n
    restart(wire, 1, n + 1000)
    assert wire.core.n == n + 1000
    assert wire.told(Disconnected)[0].n == n + 1000
    with pytest.raises(UsageError, match=f"more than {n + 1000}"):
        wire.core.restart(n, wire.stamp(""))


def test_a_call_on_its_way_is_made_again(wire: Wire) -> None:
    answers: list[bytes | None] = []
    wire.core.fetch("Time", (), lambda answer, _now, _n: answers.append(answer.result), wire.stamp(""))
    wire._collect()
    (fetch,) = wire.fetches()
    restart(wire, 1000)
    wire.connect()
    wire.advance(0)
    (again,) = wire.fetches()
    assert again == fetch
    wire.answer(again, b'{"error":[],"result":7}')
    assert answers == [b"7"]


def test_a_hole_is_not_given_up_for_the_time_that_nobody_was_there(wire: Wire) -> None:
    wire.receive(trades(900))
    assert wire.core.trades.held == 1
    restart(wire, 1000)
    wire.connect()
    wire.core.handle_deadline(wire.stamp(""))
    assert wire.core.trades.held == 1


@pytest.mark.parametrize("connecting", [False, True])
def test_a_connection_that_was_being_opened_is_opened(connecting: bool) -> None:
    wire = Wire()
    wire.core.start()
    wire._collect()
    if connecting:
        wire.core.connecting(MAIN)
    before = len(wire.actions)
    restart(wire, 1)
    assert wire.actions[before:] == [Open(MAIN)]
    wire.connect()
    assert wire.session().epoch == 0


def test_after_a_clean_end_the_main_connection_comes_back(wire: Wire) -> None:
    wire.core.stop("the client was closed")
    wire.disconnect(terminal=True)
    before = len(wire.actions)
    restart(wire, 5)
    assert wire.actions[before:] == [Open(MAIN)]
    wire.connect()
    settle(wire, Exchange(), 3)
    assert {sub.state for sub in wire.session().table} == {State.ACTIVE}


def test_a_further_connection_comes_back_if_it_was_wanted_and_goes_if_not(wire: Wire) -> None:
    deep, deeper = book(BTC, 100), book(BTC, 1000)
    wire.subscribe(deep)
    wire.subscribe(deeper)
    names = [session.name for session in wire.core.sessions]
    assert len(names) == 3
    for name in names[1:]:
        wire.connect(name)
    wire.unsubscribe(deeper)
    before = len(wire.actions)
    restart(wire, 5)
    assert wire.actions[before:] == [Open(name) for name in names[:2]]
    assert [session.name for session in wire.core.sessions] == names[:2]
