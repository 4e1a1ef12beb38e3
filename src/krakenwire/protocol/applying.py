"""Recorded inputs given to a core again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from krakenwire.errors import ProtocolError, UsageError
from krakenwire.events import Stamp
from krakenwire.protocol import inputs
from krakenwire.protocol.core import Core
from krakenwire.protocol.inputs import Input

__all__ = ["apply_input", "nobody"]


def apply_input(core: Core, given: Input, stamp: Stamp) -> None:
    """Give `core` an input again. What it refused then it refuses now, and the state is the same."""
    with suppress(UsageError, ProtocolError):  # whoever gave it was told; so it is now
        _GIVE[type(given)](core, given, stamp)


def nobody(*_: Any) -> None:
    """Who wanted an answer is not here any more."""


_GIVE: dict[type, Any] = {
    inputs.Started: lambda core, _given, _stamp: core.start(),
    inputs.Restarted: lambda core, given, stamp: core.restart(given.n, stamp),
    inputs.Stopped: lambda core, given, _stamp: core.stop(given.reason),
    inputs.Subscribe: lambda core, given, stamp: core.subscribe(given.keys, stamp),
    inputs.Unsubscribe: lambda core, given, stamp: core.unsubscribe(given.keys, stamp),
    inputs.Held: lambda core, given, _stamp: core.hold_book(given.connection, given.key),
    inputs.Connecting: lambda core, given, _stamp: core.connecting(given.connection),
    inputs.Connected: lambda core, given, stamp: core.connected(given.url, stamp),
    inputs.Disconnected: lambda core, given, stamp: core.disconnected(given.reason, given.code, given.terminal, stamp),
    inputs.Fetched: lambda core, given, stamp: core.fetch(given.call, given.params, nobody, stamp),
    inputs.Cancelled: lambda core, given, _stamp: core.cancel_fetch(given.number),
    inputs.Answered: lambda core, given, stamp: core.receive_answer(
        given.number, given.body, given.error, stamp, retryable=given.retryable, retry_after=given.retry_after
    ),
    inputs.Paused: lambda core, given, stamp: core.paused(given.connection, given.reason, stamp),
    inputs.Resumed: lambda core, given, stamp: core.resumed(given.connection, stamp),
    inputs.Reconnect: lambda core, given, stamp: core.reconnect(given.connection, given.reason, stamp),
    inputs.LoopStood: lambda core, given, stamp: core.loop_stalled(given.stalled_ns, stamp),
    inputs.Deadline: lambda core, _given, stamp: core.handle_deadline(stamp),
}
