"""A connection of the simulator, seen from its transport."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from krakenwire.sim.connection import Connection
from krakenwire.sim.exchange import Exchange


def test_nothing_is_written_to_a_transport_that_is_closing() -> None:
    written: list[bytes] = []
    raw: Any = SimpleNamespace(
        is_closing=lambda: raw.closing, write=written.append, get_write_buffer_size=lambda: 7, closing=False
    )
    connection = Connection(Exchange(symbols=["BTC/USD"]), "public")
    inside = cast("Any", connection)  # picows makes transports, and no test can
    inside._transport = SimpleNamespace(is_close_frame_sent=False, is_disconnected=False)
    inside._raw = raw
    assert (connection.write([b"{}"]), connection.write_bytes(b"x"), len(written)) == (7, 7, 2)
    raw.closing = True
    assert (connection.write([b"{}"]), connection.write_bytes(b"x"), len(written)) == (0, 0, 2)
