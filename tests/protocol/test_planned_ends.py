"""A connection that ends says whether that was our own wish."""

from __future__ import annotations

import pytest

from helpers.wire import Wire, book
from krakenwire.events import Disconnected


@pytest.fixture
def wire() -> Wire:
    wire = Wire().start()
    wire.subscribe(book())
    return wire


def ends(wire: Wire) -> list[tuple[bool, bool]]:
    return [(event.planned, event.terminal) for event in wire.told(Disconnected)]


def test_a_cut_is_nobodys_wish(wire: Wire) -> None:
    wire.disconnect(code=1006)
    assert ends(wire) == [(False, False)]


def test_the_end_of_the_client_is(wire: Wire) -> None:
    wire.core.stop("the client was closed")
    wire.disconnect(code=1000, terminal=True)
    assert ends(wire) == [(True, True)]


def test_a_planned_reconnect_is(wire: Wire) -> None:
    wire.core.reconnect("public", "as planned", wire.stamp(""))
    wire.disconnect(code=1000)
    assert ends(wire) == [(True, False)]
    wire.connect()
    wire.disconnect(code=1006)
    assert ends(wire)[1:] == [(False, False)]


def test_a_connection_given_up_for_its_silence_is_not(wire: Wire) -> None:
    wire.session().close("no frame for 20 s", retire=False)
    wire.disconnect(code=1000)
    assert ends(wire) == [(False, False)]


def test_a_further_connection_of_which_nothing_is_wanted_any_more_is(wire: Wire) -> None:
    wire.subscribe(book(depth=100))
    wire.connect("public-2")
    wire.unsubscribe(book(depth=100))
    wire.disconnect("public-2", code=1000, terminal=True)
    assert ends(wire) == [(True, True)]
