"""The event that a book message becomes."""

from __future__ import annotations

from typing import Any, Final, Literal, NoReturn, cast

from krakenwire.book.content import refuse
from krakenwire.book.pure.levels import Element, Entry, canonical_of, level_of
from krakenwire.book.pure.scan import scan
from krakenwire.book.pure.state import Outcome
from krakenwire.events import Level, Stamp

__all__ = ["BookUpdate", "make_update", "restore_update", "update_texts"]

Content = tuple[
    *tuple[bytes, str, bool, Outcome, bool, int, int | None, int, int | None, Stamp, int, int, int],
    *tuple[Entry | None, Entry | None, bool],
]


class BookUpdate:
    """One message of one book, and how the book stood after it. Immutable; its levels are decoded when asked for.

    Made by `Books.apply`. The outcome is `verified`; `unproven` if v1 sent no checksum; or why the book is unsynced:
    `checksum` (it does not match), `crossed` (best bid not below best ask), `timestamp` (earlier than the last one).
    Two are equal if frame, symbol, n, seq and outcome are.
    """

    __slots__ = ("_content",)

    _content: Content
    channel: Final = "book"

    def __init__(self) -> None:
        raise TypeError("a BookUpdate is made by Books.apply")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a BookUpdate is immutable; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a BookUpdate is immutable; cannot delete {name!r}")

    @property
    def frame(self) -> bytes:
        """The frame it came in, whole; ours in the same form, if it is synthesised."""
        return self._content[0]

    @property
    def symbol(self) -> str:
        """Whose book it is."""
        return self._content[1]

    @property
    def type(self) -> Literal["snapshot", "update"]:
        """Whether it replaces the book or changes it."""
        return "snapshot" if self._content[2] else "update"

    @property
    def outcome(self) -> Outcome:
        """How the book stands after it."""
        return self._content[3]

    @property
    def proven(self) -> bool:
        """Whether the top ten is proven to be Kraken's."""
        return self._content[3] == "verified"

    @property
    def normalised(self) -> bool:
        """The checksum matched only with numbers at the instrument's precisions (PROTOCOL 6.1 b)."""
        return self._content[4]

    @property
    def synthesised(self) -> bool:
        """The message is not Kraken's but ours: what leads from one proven book of a mirror to the other."""
        return self._content[15]

    @property
    def depth(self) -> int:
        """Levels a side that the book keeps."""
        return self._content[5]

    @property
    def checksum(self) -> int | None:
        """Kraken's, or None."""
        return self._content[6]

    @property
    def computed(self) -> int | None:
        """Ours."""
        return self._content[7]

    @property
    def exchange_ns(self) -> int | None:
        """Kraken's time, nanoseconds since the epoch, or None; on v1 the latest time of a level in it."""
        return self._content[8]

    @property
    def stamp(self) -> Stamp:
        """Whence it came: connection, epoch, times of receipt."""
        return self._content[9]

    @property
    def n(self) -> int:
        """The client-wide number of the input it came from."""
        return self._content[10]

    @property
    def seq(self) -> int:
        """Its arrival number on the connection."""
        return self._content[11]

    @property
    def connection(self) -> str:
        """Which connection it came from."""
        return self.stamp.connection

    @property
    def epoch(self) -> int:
        """How often that connection had been re-established."""
        return self.stamp.epoch

    @property
    def received_ns(self) -> int:
        """UTC of receipt, nanoseconds."""
        return self.stamp.received_ns

    @property
    def received_mono_ns(self) -> int:
        """Monotonic time of receipt, nanoseconds."""
        return self.stamp.received_mono_ns

    def _element(self) -> Element:
        scanned = scan(self.frame)
        assert scanned is not None  # noqa: S101  # it was scanned when it was applied
        return scanned.elements[self._content[12]]

    @property
    def bids(self) -> tuple[Level, ...]:
        """The bids that the message sets, or deletes (qty 0), in its order."""
        return tuple([level_of(entry) for _, entry in self._element().bids])

    @property
    def asks(self) -> tuple[Level, ...]:
        """The asks that the message sets, or deletes (qty 0), in its order."""
        return tuple([level_of(entry) for _, entry in self._element().asks])

    @property
    def best_bid(self) -> Level | None:
        """The best bid after this message."""
        entry = self._content[13]
        return None if entry is None else level_of(entry)

    @property
    def best_ask(self) -> Level | None:
        """The best ask after this message."""
        entry = self._content[14]
        return None if entry is None else level_of(entry)

    def bbo_text(self) -> tuple[str, str, str, str]:
        """Price and qty of the best bid, then of the best ask, as canonical text; empty where there is none."""
        bid, ask = self._content[13], self._content[14]
        return (
            *(("", "") if bid is None else canonical_of(bid)),
            *(("", "") if ask is None else canonical_of(ask)),
        )

    def _identity(self) -> tuple[bytes, str, int, int, str]:
        return self.frame, self.symbol, self.n, self.seq, self.outcome

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BookUpdate):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[object, ...]:
        return restore_update, (self._content,)

    def __repr__(self) -> str:
        bid, bid_qty, ask, ask_qty = self.bbo_text()
        return (
            f"<BookUpdate {self.symbol} {self.type} {self.outcome} depth={self.depth}"
            f" bid={bid or None} x {bid_qty or None} ask={ask or None} x {ask_qty or None} n={self.n} seq={self.seq}>"
        )


_new = BookUpdate.__new__
_set_content = cast("Any", vars(BookUpdate)["_content"]).__set__  # the slot's own setter: __setattr__ refuses


def make_update(content: Content) -> BookUpdate:
    """An update of its content."""
    update = _new(BookUpdate)
    _set_content(update, content)
    return update


def update_texts(events: list[Any], start: int, stop: int) -> tuple[bytes, int]:
    """What the digest of events has of the updates from `start` on.

    Args:
        events: any.
        start: the first.
        stop: the one that is not looked at any more.

    Returns:
        The text of all updates up to the first that is none, and its place.
    """
    texts = []
    stop = min(stop, len(events))
    while start < stop and type(event := events[start]) is BookUpdate:
        figures = f"{event.seq} {event.symbol} {event.outcome} {' '.join(event.bbo_text())}"
        texts.append(b"\nBookUpdate %b %b" % (figures.encode(), event.frame))
        start += 1
    return b"".join(texts), start


_KINDS = (
    *(bytes, str, bool, str, bool, int, int | None, int, int | None, Stamp, int, int, int),
    *(tuple | None, tuple | None, bool),
)


def restore_update(content: object) -> BookUpdate:
    """An update of its content, as another kernel may have given it.

    Raises:
        ValueError: none can have given it.
    """
    if type(content) is not tuple or len(content) != len(_KINDS) or not all(map(isinstance, content, _KINDS)):
        raise refuse("not that of a BookUpdate")
    return make_update(cast("Content", content))
