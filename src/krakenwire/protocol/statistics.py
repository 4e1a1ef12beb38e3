"""What has been counted: per connection, and over all connections of a client."""

from __future__ import annotations

from collections import Counter

import msgspec

from krakenwire.protocol.passive import PassiveSession
from krakenwire.protocol.session import Session

__all__ = ["RETIRED", "ConnectionStatistics", "Statistics", "count", "of_connection"]

RETIRED = "retired"


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
        backfilled: trades and candles given that had been missed at first (`Backfilled`).
        lost: trades told as lost (`Gap`), as far as their number is known.
        undecodable: frames that were not valid.
        raw: frames that are valid but have no type here, or fields without one, as of unknown channels.
        reconnects: connections that were established again.
        restored: how often everything of a connection was back after a loss (`Reconnected`).
        recovery_ns: how long that took, all times together.
        stalls: subscriptions found mute (`Stalled`).
        probes: subscriptions made anew to see whether a silent one is.
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
    backfilled: int
    lost: int
    undecodable: int
    raw: int
    reconnects: int
    restored: int
    recovery_ns: int
    stalls: int
    probes: int
    symbols: int
    instruments: int


class ConnectionStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One connection at one moment, and what it has counted over all its epochs.

    Attributes:
        connection: its name.
        state: a `ConnectionState`, or `retired`: there is no connection of that name any more.
        epoch: how often it was re-established; -1 before it was first open.
        books: how many it holds.
        synced: how many of them are proven.
        counted: counters since the start, by the names of `Statistics`.
    """

    connection: str
    state: str
    epoch: int
    books: int
    synced: int
    counted: dict[str, int]


def of_connection(name: str, session: Session | None, earlier: Counter[str]) -> ConnectionStatistics:
    """One connection now, None if it is no more; `earlier` is what former ones of its name had counted."""
    if session is None:
        return ConnectionStatistics(connection=name, state=RETIRED, epoch=-1, books=0, synced=0, counted=dict(earlier))
    return ConnectionStatistics(
        connection=name,
        state=session.state.value,
        epoch=session.epoch,
        books=len(session.books),
        synced=sum(state is not None and state.status == "synced" for state in map(session.books.get, session.books)),
        counted={name: value + earlier[name] for name, value in count(session).items()},
    )


def count(session: Session) -> Counter[str]:
    """What one connection has counted, by the names of `Statistics`."""
    books = session.books
    return Counter(
        frames=session.frames,
        verified=books.verified,
        mismatched=books.mismatched,
        crossed=books.crossed,
        backwards=books.backwards,
        ignored=books.ignored + (session.unknown_updates if isinstance(session, PassiveSession) else 0),
        unproven=books.unproven,
        normalised=books.normalised,
        resyncs=session.keeper.resyncs,
        undecodable=session.undecodable,
        raw=session.raw,
        reconnects=session.reconnects,
        restored=session.restored,
        recovery_ns=session.recovery_ns,
        stalls=session.liveness.stalls,
        probes=session.liveness.probes,
    )
