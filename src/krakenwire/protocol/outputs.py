"""What the core gives out: events, and actions for the shell that owns the sockets."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Action", "Close", "Open", "Outputs", "Send"]


class Open(msgspec.Struct, frozen=True):
    """A connection is wanted: open it, and again whenever it ends, until told to close it."""

    connection: str


class Send(msgspec.Struct, frozen=True):
    """A text message to send."""

    connection: str
    text: bytes


class Close(msgspec.Struct, frozen=True):
    """Close a connection; `retire` says that it is wanted no longer, else it is opened anew."""

    connection: str
    reason: str
    retire: bool


Action = Open | Send | Close


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
