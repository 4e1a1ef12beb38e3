"""The tree of errors: whose fault, whether a retry can help, and what is said."""

from __future__ import annotations

import inspect

import pytest

from krakenwire import errors
from krakenwire.errors import (
    BookUnsynced,
    ConnectFailed,
    DataLost,
    FrameError,
    KrakenwireError,
    NotEnoughLiquidity,
    ProtocolError,
    ReaderOverrun,
    SubscriptionRejected,
    SubscriptionTimeout,
    UnknownSymbol,
    UsageError,
    anew,
)
from krakenwire.events import Loss

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]


def test_every_error_is_of_one_tree_and_exported() -> None:
    assert {error.__name__ for error in CLASSES} == set(errors.__all__)
    for error in CLASSES:
        assert issubclass(error, KrakenwireError)
        assert error.fault in ("caller", "exchange", "network", "consumer")
        assert error.__doc__


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.UnknownSymbol, ValueError),
        (errors.FrameError, ValueError),
        (errors.ConnectFailed, ConnectionError),
        (errors.ConnectionClosed, ConnectionError),
        (errors.SubscriptionTimeout, TimeoutError),
    ],
)
def test_builtin_that_people_catch_catches_it(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


@pytest.mark.parametrize(
    ("error", "fault", "retryable", "words"),
    [
        (UsageError("bad"), "caller", False, "bad"),
        (UnknownSymbol("BTC/USE", ("BTC/USD", "BTC/EUR")), "caller", False, "did you mean BTC/USD, BTC/EUR?"),
        (UnknownSymbol("BTC"), "caller", False, "unknown symbol 'BTC'; expected BASE/QUOTE, as in BTC/USD"),
        (ProtocolError("no", fault="exchange"), "exchange", False, "no"),
        (ProtocolError("no"), "caller", False, "no"),
        (FrameError("expected a number", 17), "exchange", False, "expected a number at byte 17"),
        (
            ConnectFailed("wss://x", "HTTP 404", status=404, retryable=False),
            "network",
            False,
            "cannot connect to wss://x: HTTP 404",
        ),
        (ConnectFailed("wss://x", "HTTP 429", status=429, retry_after=600.0), "network", True, "HTTP 429"),
        (SubscriptionRejected("book", "A/B", "Already subscribed"), "exchange", False, "book A/B: Already subscribed"),
        (SubscriptionRejected("instrument", None, "no", retryable=True), "exchange", True, "to instrument: no"),
        (SubscriptionTimeout("late"), "exchange", True, "late"),
        (BookUnsynced("A/B", "checksum"), "exchange", True, "the book of A/B is not synced (checksum)"),
        (
            NotEnoughLiquidity("A/B", "asks", "5", "3"),
            "caller",
            False,
            "A/B holds 3 on its asks, less than the 5 asked for",
        ),
        (DataLost(Loss(reason="lag", count=3)), "consumer", True, "3 event(s) lost: lag"),
        (ReaderOverrun(10), "consumer", False, "more than 10 events"),
    ],
)
def test_error_says_whose_fault_it_is_whether_a_retry_helps_and_what_happened(
    error: KrakenwireError, fault: str, retryable: bool, words: str
) -> None:
    assert (error.fault, error.retryable) == (fault, retryable)
    assert words in str(error)


def test_fault_of_one_protocol_error_is_not_that_of_the_next() -> None:
    ProtocolError("theirs", fault="exchange")
    assert ProtocolError("ours").fault == "caller"


def test_attributes_hold_what_the_message_says() -> None:
    failed = ConnectFailed("wss://x", "banned", status=429, retry_after=600.0)
    assert (failed.url, failed.reason, failed.status, failed.retry_after) == ("wss://x", "banned", 429, 600.0)
    unknown = UnknownSymbol("BTC/USE", ("BTC/USD",))
    assert (unknown.symbol, unknown.nearest) == ("BTC/USE", ("BTC/USD",))
    frame = FrameError("expected x", 3)
    assert (frame.reason, frame.offset) == ("expected x", 3)
    rejected = SubscriptionRejected("book", "A/B", "text")
    assert (rejected.channel, rejected.symbol, rejected.text) == ("book", "A/B", "text")
    unsynced = BookUnsynced("A/B", "crossed")
    assert (unsynced.symbol, unsynced.reason) == ("A/B", "crossed")


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (Loss(reason="lag"), "an unknown number of events lost: lag"),
        (Loss(reason="gap", count=5, of="trade", symbol="A/B"), "5 event(s) lost (trade A/B): gap"),
        (Loss(reason="gap", of="instrument"), "an unknown number of events lost (instrument): gap"),
    ],
)
def test_loss_is_one_line_for_a_person(loss: Loss, line: str) -> None:
    assert str(loss) == line


@pytest.mark.parametrize(
    "error", [ReaderOverrun(5), ConnectFailed("wss://x", "refused", status=503, retry_after=2.0), StopAsyncIteration()]
)
def test_copy_to_raise_says_the_same_and_leaves_the_original_without_frames(error: BaseException) -> None:
    error.__cause__ = ValueError("why")
    with pytest.raises(type(error)) as raised:
        raise anew(error)
    copy = raised.value
    assert copy is not error
    assert (str(copy), copy.__dict__, copy.__cause__) == (str(error), error.__dict__, error.__cause__)
    assert (copy.__traceback__ is None, error.__traceback__ is None) == (False, True)
