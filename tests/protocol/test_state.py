"""The table of a connection's states: every legal move, and every other one refused."""

from __future__ import annotations

import itertools

import pytest

from krakenwire.errors import ProtocolError
from krakenwire.protocol.state import TRANSITIONS, ConnectionState, Move, next_state

CLOSED, CONNECTING, OPEN, CLOSING = ConnectionState
LEGAL = {
    (CLOSED, Move.OPEN): CONNECTING,
    (CONNECTING, Move.CONNECTED): OPEN,
    (CONNECTING, Move.DISCONNECTED): CLOSED,
    (CONNECTING, Move.CLOSE): CLOSING,
    (OPEN, Move.CLOSE): CLOSING,
    (OPEN, Move.DISCONNECTED): CLOSED,
    (CLOSING, Move.DISCONNECTED): CLOSED,
}
ALL = list(itertools.product(ConnectionState, Move))


@pytest.mark.parametrize(("state", "move"), [pair for pair in ALL if pair in LEGAL])
def test_legal_move_leads_where_the_table_says(state: ConnectionState, move: Move) -> None:
    assert next_state(state, move) is LEGAL[state, move]


@pytest.mark.parametrize(("state", "move"), [pair for pair in ALL if pair not in LEGAL])
def test_illegal_move_is_refused_and_the_legal_ones_are_named(state: ConnectionState, move: Move) -> None:
    with pytest.raises(ProtocolError) as caught:
        next_state(state, move)
    message = str(caught.value)
    assert f"{state.value} does not expect '{move.value}'" in message
    legal = {other.value for at, other in LEGAL if at is state}
    assert set(message.partition("it expects: ")[2].split(", ")) == legal


def test_every_state_can_be_left_and_reached() -> None:
    assert {state for state, _ in TRANSITIONS} == set(ConnectionState)
    assert set(TRANSITIONS.values()) == set(ConnectionState)
