"""What the core gives out: events, and actions for the shell that owns the sockets."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Action", "Close", "Fetch", "Open", "Outputs", "Send"]


class Open(msgspec.Struct, frozen=True):
    """A connection is wanted: open it, and again whenever it ends, until told to close it."""

    connection: str


class Send(msgspec.Struct, frozen=True):
    """A text message to send."""

    connection: str
    text: bytes


class Close(msgspec.Struct, frozen=True):
    """Close a connection.

    Attributes:
        connection: which.
        reason: in words.
        retire: it is wanted no longer, else it is opened anew.
        is_dead: the other side gives no sign of life: nobody would answer a goodbye, so none is waited for.
    """

    connection: str
    reason: str
    retire: bool
    is_dead: bool = False


class Fetch(msgspec.Struct, frozen=True):
    """A public REST call to make (PROTOCOL 8.3); whatever comes of it is an input: `Core.receive_answer`.

    Attributes:
        number: which question this is; the answer names it.
        call: `Trades`, `OHLC`, `Depth`, ….
        params: name and value of each parameter of the query, in order.
    """

    number: int
    call: str
    params: tuple[tuple[str, str], ...]


Action = Open | Send | Close | Fetch


class Outputs:
    """Collected by the core, taken by its shell after each input; one object, shared by all sessions.

    Attributes:
        events: in order; a list that the book's kernel appends to directly.
        actions: in order.
        precisions: symbols whose precisions came in; True where they had been others, so that the books kept by them
            must be fetched again.
    """

    __slots__ = ("actions", "events", "precisions")

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.actions: list[Action] = []
        self.precisions: dict[str, bool] = {}
