"""What has been counted: per connection, and over all connections of a client."""

from __future__ import annotations

from collections import Counter

import msgspec

from krakenwire.protocol.passive import PassiveSession
from krakenwire.protocol.session import Session

__all__ = ["Statistics", "count"]


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the start, frozen at one moment.

    Attributes:
        frames: frames received, over all connections.
        verified: book messages whose checksum matched.
        mismatched: book messages whose checksum did not.
        crossed: book messages after which the best bid was not below the best ask.
        backwards: book messages whose timestamp ran backwards.
        ignored: updates of a book that was not synced, or not held.
        unproven: book messages without a checksum (v1 snapshots).
        normalised: verified only after padding to the instrument's precisions.
        resyncs: books proven again after they were invalidated.
        repeated: trades dropped because they had been given before.
        undecodable: frames that were not valid.
        raw: frames that are valid but have no type here, or fields without one, as of unknown channels.
        reconnects: connections that were established again.
        symbols: symbols of which there is a book.
        instruments: instruments known.
    """

    frames: int
    verified: int
    mismatched: int
    crossed: int
    backwards: int
    ignored: int
    unproven: int
    normalised: int
    resyncs: int
    repeated: int
    undecodable: int
    raw: int
    reconnects: int
    symbols: int
    instruments: int


def count(session: Session) -> Counter[str]:
    """What one connection has counted, by the names of `Statistics`."""
    books = session.books
    return Counter(
        verified=books.verified,
        mismatched=books.mismatched,
        crossed=books.crossed,
        backwards=books.backwards,
        ignored=books.ignored + (session.unknown_updates if isinstance(session, PassiveSession) else 0),
        unproven=books.unproven,
        normalised=books.normalised,
        resyncs=session.keeper.resyncs,
        repeated=session.trades.repeated,
        undecodable=session.undecodable,
        raw=session.raw,
        reconnects=session.reconnects,
    )
