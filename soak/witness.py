"""What the client gives out as proven, written down at the very moment, and what it tells of its troubles."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from krakenwire.book import BookUpdate
from krakenwire.events import LIFECYCLE, BookInvalidated, Event, Message, Stamp, Trade
from krakenwire.protocol.core import Core

from .digest import digest_of_state
from .records import Served, Shelf
from .tap import trade_digest

__all__ = ["GREETED", "Told", "Witness", "gaps_of"]

STATUS = b'{"channel":"status"'

_CONNECTION_ID = re.compile(rb'"connection_id":(\d+)')

GREETED = "Greeted"
"""Not an event of the client's: a connection has told its number."""

BULKY = ("frame", "text", "normalised_text", "stamp", "n", "seq")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the client told of itself.

    Attributes:
        name: of the event.
        connection, epoch, at_ns: from its stamp; UTC nanoseconds.
        frame: CRC-32 of the frame at which a book was found wrong, else None.
        fields: the rest of it, without what is bulky.
    """

    name: str
    connection: str
    epoch: int
    at_ns: int
    frame: int | None
    fields: dict[str, Any]


class Witness:
    """Stands at the door of the core, and among those that are told its events.

    Args:
        core: of the client. What it is given is looked at frame by frame, as a book is only then what its update says.
        shelf: where everything is written.
        tell: is told what the client tells.

    Attributes:
        messages: events of market data that were published.
        verified: books that were given out as proven.
        by_name: events, by their name.
        last: the number of the last trade of each symbol that was published.
    """

    def __init__(self, core: Core, shelf: Shelf, tell: Callable[[Told], object]) -> None:
        self.messages = 0
        self.verified = 0
        self.by_name: Counter[str] = Counter()
        self.last: dict[str, int] = {}
        self._core = core
        self._shelf = shelf
        self._tell = tell
        self._receive = core.receive_frame
        core.receive_frame = self._receive_frame  # type: ignore[method-assign]  # no event tells this moment

    def see(self, events: Sequence[Event]) -> None:
        """Events are published; to be given to the client as `on_events`."""
        for event in events:
            self.by_name[type(event).__name__] += 1
            if isinstance(event, Trade):
                self.messages += 1
                if event.trade_id is not None:
                    digest = trade_digest(event.side, event.price, event.qty)
                    self.last[event.symbol] = event.trade_id
                    self._shelf.traded("given", event.symbol, event.trade_id, digest)
            elif event.channel == LIFECYCLE:
                self._tell(_told(event))
            else:
                self.messages += 1

    def _receive_frame(self, frame: bytes, stamp: Stamp) -> None:
        events = self._core.events
        start = len(events)
        self._receive(frame, stamp)
        if frame.startswith(STATUS):
            self._note_status(frame, stamp)
        for event in events[start:]:
            if isinstance(event, BookUpdate):
                self._prove(event)

    def _note_status(self, frame: bytes, stamp: Stamp) -> None:
        """By its number the exchange knows a connection; of a mirrored pair the client tells only one status."""
        match = _CONNECTION_ID.search(frame)
        if match is not None:
            self._tell(
                Told(
                    name=GREETED,
                    connection=stamp.connection,
                    epoch=stamp.epoch,
                    at_ns=stamp.received_ns,
                    frame=None,
                    fields={"connection_id": int(match[1])},
                )
            )

    def _prove(self, update: BookUpdate) -> None:
        session = self._core.session(update.stamp.connection)
        state = None if session is None else session.books.get(update.symbol)
        if state is None:
            return
        self.verified += 1
        self._shelf.served(
            update.stamp.connection,
            update.symbol,
            update.depth,
            Served(
                exchange_ns=update.exchange_ns or 0,
                received_ns=update.stamp.received_ns,
                digest=digest_of_state(state),
                is_snapshot=update.type == "snapshot",
                frame=zlib.crc32(update.frame),
            ),
        )


def _told(event: Any) -> Told:
    assert isinstance(event, Message)  # noqa: S101  # all of the lifecycle are
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name not in BULKY}
    frame = event.frame if isinstance(event, BookInvalidated) else None
    return Told(
        name=type(event).__name__,
        connection=event.connection,
        epoch=event.epoch,
        at_ns=event.received_ns,
        frame=None if frame is None else zlib.crc32(frame),
        fields=fields,
    )


def gaps_of(told: Iterable[Told]) -> dict[str, list[tuple[int, int]]]:
    """First and last number of the trades that a `Gap` told of, by symbol."""
    found: dict[str, list[tuple[int, int]]] = {}
    for each in told:
        fields = each.fields
        if each.name == "Gap" and fields["of"] == "trade" and fields["first"] is not None:
            found.setdefault(fields["symbol"], []).append((fields["first"], fields["last"]))
    return found
