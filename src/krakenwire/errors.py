"""One tree of errors: whose fault it was, and whether trying again can help.

Every error of the library derives from `KrakenwireError` and says three things: what was expected, what came,
and what to do. `fault` names who is at fault; `retryable` whether the same call may succeed later unchanged.
"""

from __future__ import annotations

from typing import ClassVar, Literal

__all__ = [
    "BookUnsynced",
    "ConnectFailed",
    "ConnectionClosed",
    "DataLost",
    "FrameError",
    "KrakenwireError",
    "NotEnoughLiquidity",
    "NotRecorded",
    "ProtocolError",
    "ReaderClosed",
    "ReaderOverrun",
    "ReplayEnded",
    "RestFailed",
    "SubscriptionRejected",
    "SubscriptionTimeout",
    "UnknownSymbol",
    "UsageError",
]

Fault = Literal["caller", "exchange", "network", "consumer"]


class KrakenwireError(Exception):
    """Base of all errors raised by krakenwire."""

    fault: ClassVar[Fault] = "caller"
    retryable: bool = False


class UsageError(KrakenwireError, ValueError):
    """An argument or a call that cannot work: the message says what is accepted."""


class UnknownSymbol(UsageError):
    """A symbol that the exchange does not list.

    Attributes:
        symbol: what was asked for.
        nearest: the listed symbols closest to it, best first (at most five).
    """

    def __init__(self, symbol: str, nearest: tuple[str, ...] = ()) -> None:
        self.symbol = symbol
        self.nearest = nearest
        hint = f"; did you mean {', '.join(nearest)}?" if nearest else "; expected BASE/QUOTE, as in BTC/USD"
        super().__init__(f"unknown symbol {symbol!r}{hint}")


class NotRecorded(UsageError):
    """What a journal does not have: the message names what it has."""


class ProtocolError(KrakenwireError):
    """A move that the connection's state does not allow.

    Attributes:
        fault: `caller` when our side made the move, `exchange` when the other side did.
    """

    def __init__(self, message: str, *, fault: Fault = "caller") -> None:
        self.fault = fault  # type: ignore[misc]  # whose fault it was is known only where it is raised
        super().__init__(message)


class FrameError(KrakenwireError, ValueError):
    """A frame that is not what the protocol allows; nothing of it was applied.

    Attributes:
        reason: what was expected and what came, in a few words.
        offset: the byte at which it broke.
    """

    fault = "exchange"

    def __init__(self, reason: str, offset: int) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(f"{reason} at byte {offset}")


class ConnectFailed(KrakenwireError, ConnectionError):
    """A connection could not be opened.

    Attributes:
        url: where to, without credentials.
        status: the HTTP status of a refused upgrade, or None.
        retryable: False for what the same attempt would meet again (400, 401, 404, a bad certificate).
        retry_after: seconds before another attempt is allowed, or None.
    """

    fault = "network"

    def __init__(
        self,
        url: str,
        reason: str,
        *,
        status: int | None = None,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        self.url = url
        self.reason = reason
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        super().__init__(f"cannot connect to {url}: {reason}")


class ConnectionClosed(KrakenwireError, ConnectionError):
    """The client was closed, or its connection ended for good, while something waited on it."""

    fault = "network"


class ReplayEnded(ConnectionClosed):
    """The replay came to the end of its tape, or was closed, while something waited on it; it cannot go on."""


class SubscriptionRejected(KrakenwireError):
    """The exchange refused a subscription.

    Attributes:
        channel: the channel asked for.
        symbol: the symbol asked for, or None.
        text: Kraken's own words.
    """

    fault = "exchange"

    def __init__(self, channel: str, symbol: str | None, text: str, *, retryable: bool = False) -> None:
        self.channel = channel
        self.symbol = symbol
        self.text = text
        self.retryable = retryable
        what = f"{channel} {symbol}" if symbol else channel
        super().__init__(f"Kraken rejected the subscription to {what}: {text}")


class SubscriptionTimeout(KrakenwireError, TimeoutError):
    """The exchange did not answer a subscription in time; it goes on being wanted until the reader is closed."""

    fault = "exchange"
    retryable = True


class BookUnsynced(KrakenwireError):
    """The book's top ten is not proven at this moment, so it is not shown.

    `book.stale` gives the last state to who insists; `await book.synced()` waits until it is proven again.

    Attributes:
        symbol: whose book it is.
        reason: why it is not synced: `empty`, `checksum`, `crossed`, `timestamp`, `precision`,
            `disconnected`, `quarantined`.
    """

    fault = "exchange"
    retryable = True

    def __init__(self, symbol: str, reason: str) -> None:
        self.symbol = symbol
        self.reason = reason
        super().__init__(f"the book of {symbol} is not synced ({reason}); wait for book.synced() or read book.stale")


class NotEnoughLiquidity(KrakenwireError):
    """The book holds less than the quantity asked for.

    Attributes:
        symbol, side: the side of the book that ran out.
        asked, available: quantities, as `Decimal` text.
    """

    fault = "caller"

    def __init__(self, symbol: str, side: str, asked: object, available: object) -> None:
        self.symbol = symbol
        self.side = side
        self.asked = asked
        self.available = available
        super().__init__(f"{symbol} holds {available} on its {side}, less than the {asked} asked for")


class DataLost(KrakenwireError):
    """A reader was not given something; raised once, and iterating again goes on after the loss.

    Attributes:
        loss: the `krakenwire.Loss`, with the count where it is known.
    """

    fault = "consumer"
    retryable = True

    def __init__(self, loss: object) -> None:
        self.loss = loss
        super().__init__(str(loss))


class ReaderOverrun(KrakenwireError):
    """A reader that must not lose anything fell behind by more than its capacity, and is over.

    Attributes:
        capacity: events it could hold.
        block_limit: under `block`, the seconds that reading was paused for it; None under `disconnect`.
    """

    fault = "consumer"

    def __init__(self, capacity: int, *, block_limit: float | None = None) -> None:
        self.capacity = capacity
        self.block_limit = block_limit
        if block_limit is None:
            what = f"fell behind by more than {capacity} events and its policy is 'disconnect'; "
            how = "read faster, raise capacity=, or choose policy='drop_oldest' or 'conflate'"
        else:
            what = f"was behind by {capacity} events or more, and reading was paused for it for {block_limit:g} s; "
            how = "read faster, raise capacity= or block_limit=, or choose policy='drop_oldest' or 'conflate'"
        super().__init__(f"the reader {what}{how}")


class RestFailed(KrakenwireError):
    """A REST call was not answered, or not by Kraken.

    Attributes:
        call: which, as in `Trades`.
        text: what came instead of an answer.
        status: the HTTP status, or None if there was none.
        retryable: whether the same call may be answered later.
        retry_after: seconds before it may be tried again, or None.
    """

    fault = "network"

    def __init__(
        self,
        call: str,
        text: str,
        *,
        status: int | None = None,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        self.call = call
        self.text = text
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        super().__init__(f"the REST call {call} failed: {text}")


class ReaderClosed(KrakenwireError):
    """A reader was used after it was closed."""


def anew(error: BaseException) -> BaseException:
    """A copy of `error`, to be raised where the same is told to many or more than once.

    What is raised holds the frames that it went through. If that is kept, it keeps them, and all that they hold, until
    cycles are collected.
    """
    kind = type(error)
    copy = kind.__new__(kind)  # not by `kind(…)`: what it is made of is not what it says
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__, copy.__suppress_context__ = error.__cause__, error.__suppress_context__
    return copy
