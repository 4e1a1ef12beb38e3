"""Everything a consumer can receive, but for `BookUpdate`, which the book's kernel makes itself.

Events are frozen. Market data carries Kraken's own field names; lifecycle events are past facts. Every event says
where it came from: `stamp` (connection, epoch, times of receipt; shared by all frames of one socket read), `n` (the
client-wide number of the input it came from) and `seq` (the arrival number on its connection). Prices and quantities
are exact `Decimal`s, with the zeros that were on the wire. docs/events.md tables class, fields and who gets it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Literal, NamedTuple, Protocol

import msgspec

__all__ = [
    "LIFECYCLE",
    "NO_STAMP",
    "Asset",
    "Backfilled",
    "BookAudited",
    "BookInvalidated",
    "BookQuarantined",
    "BookResynced",
    "CallbackFailed",
    "CallbackSlow",
    "Connected",
    "Disconnected",
    "Event",
    "ExchangeError",
    "Gap",
    "Heartbeat",
    "Instrument",
    "JournalPaused",
    "JournalResumed",
    "JournalStopped",
    "LeaderChanged",
    "Level",
    "LoopStalled",
    "Loss",
    "Message",
    "Ohlc",
    "Pong",
    "Raw",
    "ReadingPaused",
    "ReadingResumed",
    "Reconnected",
    "Recovered",
    "Reply",
    "RunResumed",
    "Side",
    "Source",
    "Spread",
    "Stalled",
    "Stamp",
    "SubscribeRejected",
    "Subscribed",
    "SystemStatus",
    "Ticker",
    "Trade",
    "Undecodable",
    "Unsubscribed",
]

Side = Literal["buy", "sell"]
Source = Literal["live", "snapshot", "backfill"]
MessageType = Literal["snapshot", "update"]

LIFECYCLE = "lifecycle"
"""The `channel` of events that tell of connections, subscriptions and books, rather than of the market."""


class Level(NamedTuple):
    """One price level of a book; both numbers exact, as they were on the wire."""

    price: Decimal
    qty: Decimal


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """Where and when something was received; one object for all frames of one socket read.

    Attributes:
        connection: which connection (`public`, `public-2`, …).
        epoch: how often that connection had been re-established, from 0.
        received_ns: UTC of receipt, nanoseconds.
        received_mono_ns: monotonic time of receipt, nanoseconds.
    """

    connection: str
    epoch: int
    received_ns: int
    received_mono_ns: int


NO_STAMP = Stamp("", 0, 0, 0)
"""The stamp of what did not come over a connection (a list of frames without times)."""


class Event(Protocol):
    """What every event has, `BookUpdate` included."""

    @property
    def channel(self) -> str:
        """Kraken's channel, or `lifecycle`."""

    @property
    def stamp(self) -> Stamp:
        """Where and when it was received."""

    @property
    def n(self) -> int:
        """The client-wide number of the input it came from."""

    @property
    def seq(self) -> int:
        """The arrival number on its connection, from 1 in each epoch."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all events but `BookUpdate`."""

    channel: ClassVar[str] = LIFECYCLE

    stamp: Stamp = NO_STAMP
    n: int = 0
    seq: int = 0

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


# --- market data -----------------------------------------------------------------------------------------------------


class Trade(Message, frozen=True, kw_only=True, gc=False):
    """One trade (PROTOCOL 3.7; v1 7.2). `trade_id` counts up by one per symbol and is None on v1."""

    channel: ClassVar[str] = "trade"

    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    ord_type: str
    trade_id: int | None
    exchange_ns: int | None
    source: Source = "live"


class Ticker(Message, frozen=True, kw_only=True, gc=False):
    """Best bid and offer and the statistics of the last 24 hours (PROTOCOL 3.4). What v1 does not tell is None."""

    channel: ClassVar[str] = "ticker"

    symbol: str
    type: MessageType
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    last: Decimal | None
    volume: Decimal | None
    vwap: Decimal | None
    low: Decimal | None
    high: Decimal | None
    change: Decimal | None
    change_pct: Decimal | None
    exchange_ns: int | None


class Spread(Message, frozen=True, kw_only=True, gc=False):
    """Best bid and offer, from v1's `spread` channel; v2 tells it by the ticker."""

    channel: ClassVar[str] = "spread"

    symbol: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    exchange_ns: int | None


class Ohlc(Message, frozen=True, kw_only=True, gc=False):
    """Kraken's own candle (PROTOCOL 3.8). `interval` is minutes; it closes when a later `interval_begin_ns` appears.

    `source` is `live` for an update, `snapshot` for what comes with the subscription, `backfill` for what was missed
    or asked for and fetched by REST.
    """

    channel: ClassVar[str] = "ohlc"

    symbol: str
    type: MessageType
    interval: int
    interval_begin_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    trades: int
    exchange_ns: int | None
    source: Source = "live"


class Instrument(Message, frozen=True, kw_only=True, gc=False):
    """Reference data of a symbol (PROTOCOL 3.9)."""

    channel: ClassVar[str] = "instrument"

    symbol: str
    type: MessageType
    base: str
    quote: str
    status: str
    price_precision: int
    qty_precision: int
    cost_precision: int
    price_increment: Decimal
    qty_increment: Decimal
    qty_min: Decimal
    cost_min: Decimal | None = None
    marginable: bool = False
    has_index: bool = False
    margin_initial: Decimal | None = None
    position_limit_long: int | None = None
    position_limit_short: int | None = None


class Asset(Message, frozen=True, kw_only=True, gc=False):
    """Reference data of an asset (PROTOCOL 3.9)."""

    channel: ClassVar[str] = "instrument"

    id: str
    type: MessageType
    status: str
    precision: int
    precision_display: int
    borrowable: bool = False
    collateral_value: Decimal | None = None
    margin_rate: Decimal | None = None
    multiplier: Decimal | None = None


class SystemStatus(Message, frozen=True, kw_only=True, gc=False):
    """State of the matching engine (PROTOCOL 3.1): online, cancel_only, post_only, maintenance, or what comes.

    `connection_id` is whatever was sent: an integer on the live wire, text in redacted captures, or None.
    """

    channel: ClassVar[str] = "status"

    system: str
    api_version: str | None = None
    version: str | None = None
    connection_id: int | str | None = None


class Heartbeat(Message, frozen=True, kw_only=True, gc=False):
    """Kraken is there (PROTOCOL 3.2). It is no sign of life of any one subscription."""

    channel: ClassVar[str] = "heartbeat"


class Pong(Message, frozen=True, kw_only=True, gc=False):
    """The answer to a ping (PROTOCOL 3.3), with when Kraken received and answered it, as text."""

    channel: ClassVar[str] = "pong"

    req_id: int | None = None
    time_in: str | None = None
    time_out: str | None = None


class Reply(Message, frozen=True, kw_only=True, gc=False):
    """The answer to a method other than subscribe and unsubscribe (PROTOCOL 2.2); to a ping only if it was refused.

    `result` is the answer's JSON as it came, undecoded, or None; `error` is Kraken's text, or None on success.
    `orders_cancelled` is the count that batch_cancel may answer beside the result instead of in it.
    """

    channel: ClassVar[str] = "reply"

    method: str
    success: bool
    req_id: int | None = None
    error: str | None = None
    symbol: str | None = None
    result: bytes | None = None
    orders_cancelled: int | None = None
    warnings: tuple[str, ...] = ()
    time_in: str | None = None
    time_out: str | None = None


class Raw(Message, frozen=True, kw_only=True, gc=False):
    """A frame of valid JSON that has no type here, or has fields that none of its events has: passed on whole, counted.

    `name` is the channel or method it names, or None; `reason` why it is raw: `unknown channel`, `request`, …. With an
    `unknown field` it comes after the events of its frame, which are as good as ever.
    """

    channel: ClassVar[str] = "raw"

    name: str | None
    reason: str
    frame: bytes


class Undecodable(Message, frozen=True, kw_only=True, gc=False):
    """A frame that is not valid: not JSON, or JSON that breaks the protocol. Nothing of it was applied.

    `reason` says what was expected and what came; `offset` is the byte where it broke, or None where that is unknown.
    """

    channel: ClassVar[str] = "undecodable"

    reason: str
    offset: int | None
    frame: bytes


# --- lifecycle -------------------------------------------------------------------------------------------------------


class Connected(Message, frozen=True, kw_only=True, gc=False):
    """A connection is open. `downtime_ns` is how long it had been down, None for the first time."""

    url: str
    downtime_ns: int | None = None


class Disconnected(Message, frozen=True, kw_only=True, gc=False):
    """A connection ended, or an attempt to open it failed.

    `code` is the WebSocket close code or the HTTP status of a refused upgrade, None if there was neither; `terminal`
    says that it will not be tried again, `planned` that it was our own wish: the client was closed, nothing was
    subscribed on it any more, or it is opened anew on schedule.
    """

    reason: str
    code: int | None = None
    terminal: bool = False
    planned: bool = False


class Subscribed(Message, frozen=True, kw_only=True, gc=False):
    """Kraken acknowledged a subscription; `of` is its channel."""

    of: str
    symbol: str | None
    depth: int | None = None
    interval: int | None = None
    warnings: tuple[str, ...] = ()


class Unsubscribed(Message, frozen=True, kw_only=True, gc=False):
    """Kraken acknowledged the end of a subscription."""

    of: str
    symbol: str | None
    depth: int | None = None
    interval: int | None = None


class SubscribeRejected(Message, frozen=True, kw_only=True, gc=False):
    """Kraken refused a subscription, or never answered; `error` is its text or says so."""

    of: str | None
    symbol: str | None
    error: str
    req_id: int | None = None
    depth: int | None = None
    interval: int | None = None


class ExchangeError(Message, frozen=True, kw_only=True, gc=False):
    """An error that answers no request of ours, as `{"Error": "Exceeded msg rate"}` (PROTOCOL 9.3)."""

    error: str
    req_id: int | None = None


class BookInvalidated(Message, frozen=True, kw_only=True, gc=False):
    """A book is no longer synced; it is fetched again, alone.

    Attributes:
        reason: `checksum`, `crossed`, `timestamp`, `precision`, `disconnected`, `audit`.
        expected: Kraken's checksum, None where the reason is not a message.
        computed: ours.
        text: the text that ours was computed over, from the wire.
        normalised_text: the same at the instrument's precisions, None if these are not known.
        frame: the message at which it was found.
    """

    symbol: str
    depth: int
    reason: str
    expected: int | None = None
    computed: int | None = None
    text: str | None = None
    normalised_text: str | None = None
    frame: bytes | None = None


class BookResynced(Message, frozen=True, kw_only=True, gc=False):
    """A book that was invalidated is proven again: after `took_ns`, with `attempts` snapshots asked for."""

    symbol: str
    depth: int
    took_ns: int
    attempts: int


class BookQuarantined(Message, frozen=True, kw_only=True, gc=False):
    """A book failed `attempts` times in a row; it is left alone until `retry_after_ns` have passed."""

    symbol: str
    depth: int
    attempts: int
    retry_after_ns: int


class Gap(Message, frozen=True, kw_only=True, gc=False):
    """Known loss in a stream: `first` to `last`, `count` of them, or None where only the fact is known.

    `first` and `last` are trade_ids; of candles they are the begin of each, nanoseconds, and `interval` is theirs.
    """

    of: str
    symbol: str | None
    reason: str
    first: int | None = None
    last: int | None = None
    count: int | None = None
    interval: int | None = None


class Reconnected(Message, frozen=True, kw_only=True, gc=False):
    """A connection that had ended has everything back: it is open, all that was wanted of it is answered, books proven.

    It is told once, however often the connection was lost again on the way. What was asked for only after it was open
    again is no part of it. A book in quarantine is not waited for.

    Attributes:
        downtime_ns: how long there was no open socket, all losses on the way together.
        took_ns: from the end of the old socket, the first one, until everything was back.
        subscriptions: how many were restored.
        rejected: how many Kraken refused this time; each has its own `SubscribeRejected`.
        books: how many books were proven again.
        missed: trades known by now to have been missed meanwhile; what of it was fetched after all tells `Backfilled`.
        planned: it was our own wish (a schedule, a change of status, `Client.reconnect`), and nothing else.
    """

    downtime_ns: int
    took_ns: int
    subscriptions: int
    rejected: int
    books: int
    missed: int
    planned: bool = False


class Stalled(Message, frozen=True, kw_only=True, gc=False):
    """A subscription that should speak has been silent for too long.

    Attributes:
        of: its channel.
        silent_ns: for how long nothing came of it.
        limit_ns: how much silence is usual at most, as learned or, where too little was seen, as given.
        evidence: what made it more than quiet. `probe`: it was subscribed anew, and the snapshot told what should have
            been told before, or never came; `silence`: that was longer than `limit_ns` and could not be ended;
            `ticker`, `trade`, `ohlc`, `book`: that channel told what the silent one should have told too.
    """

    of: str
    symbol: str | None
    silent_ns: int
    limit_ns: int
    evidence: str
    depth: int | None = None
    interval: int | None = None


class Recovered(Message, frozen=True, kw_only=True, gc=False):
    """A subscription that was stalled speaks again.

    Attributes:
        of: its channel.
        stalled_ns: for how long nothing came of it in all, from its last message on.
        by: what brought it back: `itself`, `resubscribe`, `reconnect`.
    """

    of: str
    symbol: str | None
    stalled_ns: int
    by: str
    depth: int | None = None
    interval: int | None = None


class LoopStalled(Message, frozen=True, kw_only=True, gc=False):
    """Our own event loop did nothing for `stalled_ns`; the sockets are read before any silence is judged."""

    stalled_ns: int


class ReadingPaused(Message, frozen=True, kw_only=True, gc=False):
    """A connection is not read for now, since a reader with the policy `block` is behind."""

    reason: str


class ReadingResumed(Message, frozen=True, kw_only=True, gc=False):
    """A connection is read again, after `paused_ns`."""

    paused_ns: int


class Backfilled(Message, frozen=True, kw_only=True, gc=False):
    """A gap was closed: the events from `first` to `last`, `count` of them, were fetched and given in order.

    Attributes:
        of: the channel: `trade`, `ohlc`.
        first, last: trade_ids; for candles the begin of the first and of the last, nanoseconds.
        how: where from, the last resort named first: `rest`, `snapshot` (with the subscription), `mirror` (the other
            connection had it), `late` (it came all the same, out of order).
        took_ns: from the moment the gap was seen.
        interval: of candles, minutes.
    """

    of: str
    symbol: str
    first: int
    last: int
    count: int
    how: str
    took_ns: int
    interval: int | None = None


class LeaderChanged(Message, frozen=True, kw_only=True, gc=False):
    """Of a mirror: what is published comes from the connection `leader` now; not told when there was none before.

    Attributes:
        symbol: whose book; None for everything that has no symbol of its own.
        leader: the connection.
        previous: the connection before it, or None.
        reason: why: the previous one was `disconnected`, its book wrong (as in `BookInvalidated`), it was `stalled` or
            `behind`, its subscription ended (`unsubscribed`), or it is to be opened anew (`planned`).
    """

    symbol: str | None
    leader: str
    previous: str | None
    reason: str


class BookAudited(Message, frozen=True, kw_only=True, gc=False):
    """The levels of a book, those below the proven ones too, were compared with another source.

    Attributes:
        method: `rest` (Kraken's `Depth`, volumes to three decimals), or `mirror` (the other connection's book).
        levels: how many were compared, both sides together.
        wrong: how many of them differed, twice in a row; the book is fetched again if there are any.
        skipped: levels that changed while the source answered, and could not be compared.
    """

    symbol: str
    depth: int
    method: str
    levels: int
    wrong: int
    skipped: int


class CallbackFailed(Message, frozen=True, kw_only=True, gc=False):
    """A reader's callback raised; the feed and the other readers went on. Told at most once a second.

    Attributes:
        reader: its name.
        error: the kind of what was raised, and where; never its text, which might hold a secret.
        failures: how often it has raised by now.
    """

    reader: str
    error: str
    failures: int


class CallbackSlow(Message, frozen=True, kw_only=True, gc=False):
    """A reader's callback kept its loop for more than 50 ms, with one event or up to 64 that it was given in one go.

    Attributes:
        reader: its name.
        took_ns: for how long.
        slow: how often that has happened by now.
    """

    reader: str
    took_ns: int
    slow: int


class JournalPaused(Message, frozen=True, kw_only=True, gc=False):
    """Nothing can be written into the journal now, or not fast enough; it is tried again, and the feed goes on.

    What comes meanwhile waits in memory, up to 64 MiB; what is beyond that will not be in the journal.

    Attributes:
        reason: what the system said, or that the disk is too slow.
    """

    reason: str


class JournalResumed(Message, frozen=True, kw_only=True, gc=False):
    """The journal is written again.

    Attributes:
        lost: inputs of the client (frames, mostly) that are not in it; there it says so, too.
        paused_ns: for how long nothing could be written.
    """

    lost: int
    paused_ns: int


class JournalStopped(Message, frozen=True, kw_only=True, gc=False):
    """The journal is not written any more, as `when_full="stop"` has it; the feed goes on.

    Attributes:
        reason: what the system said, or that the disk is too slow.
    """

    reason: str


class RunResumed(Message, frozen=True, kw_only=True, gc=False):
    """The client goes on where the program before it ended: what it knew is known, what was subscribed is wanted.

    What was missed meanwhile is found and fetched as after a loss of connection; that is told as there.

    Attributes:
        run: number of the run before.
        last_n: number of its last input that is in the journal.
        first_n: number of the first input of this run; those between may have been used by the other program.
        downtime_ns: how long nobody was there.
        subscriptions: how many are wanted again.
    """

    run: int
    last_n: int
    first_n: int
    downtime_ns: int
    subscriptions: int


class Loss(Message, frozen=True, kw_only=True, gc=False):
    """What one reader was not given, in its own stream: a lag, a gap, an unsynced book.

    `count` is the exact number of events where it is known; `cause` the event it stems from, if any.
    """

    reason: str
    count: int | None = None
    of: str | None = None
    symbol: str | None = None
    cause: Message | None = None

    def __str__(self) -> str:
        """One line for a person."""
        what = "an unknown number of events" if self.count is None else f"{self.count} event(s)"
        where = " ".join(part for part in (self.of, self.symbol) if part)
        return f"{what} lost{f' ({where})' if where else ''}: {self.reason}"
