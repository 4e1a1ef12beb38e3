"""What is logged, and how: lifecycle events as log lines with fields, and log lines as JSON.

The library only ever logs to loggers below `krakenwire`, and sets up none: without a handler of the application's
nothing is printed. No secret can be in a line, for the events that it is made from hold none.
"""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import Any

import msgspec

from krakenwire.book import format_timestamp
from krakenwire.clock import NS_PER_S, Clock, Timer
from krakenwire.events import (
    BookAudited,
    BookInvalidated,
    BookQuarantined,
    CallbackFailed,
    CallbackSlow,
    Disconnected,
    ExchangeError,
    Gap,
    JournalPaused,
    JournalStopped,
    LoopStalled,
    Message,
    ReadingPaused,
    ReadingResumed,
    Stalled,
    Subscribed,
    SubscribeRejected,
    Unsubscribed,
)

__all__ = ["JsonFormatter", "LifecycleLog", "TextFormatter"]

LOGGER = "krakenwire.lifecycle"
_log = logging.getLogger(LOGGER)
logging.getLogger("krakenwire").addHandler(logging.NullHandler())

_LEVELS: dict[type[Message], int] = {
    BookInvalidated: logging.WARNING,
    BookQuarantined: logging.WARNING,
    CallbackFailed: logging.WARNING,
    CallbackSlow: logging.WARNING,
    Disconnected: logging.WARNING,
    ExchangeError: logging.WARNING,
    Gap: logging.WARNING,
    JournalPaused: logging.WARNING,
    JournalStopped: logging.ERROR,
    LoopStalled: logging.WARNING,
    ReadingPaused: logging.WARNING,
    Stalled: logging.WARNING,
    SubscribeRejected: logging.WARNING,
    ReadingResumed: logging.INFO,
    Subscribed: logging.DEBUG,
    Unsubscribed: logging.DEBUG,
}
"""What is not here is good news, and INFO."""

_BULKY = frozenset({"stamp", "frame", "text", "normalised_text"})
"""Not for a line: the stamp is given by its parts, the others are in the event and in the forensic bundle."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class LifecycleLog:
    """Logs each lifecycle event once, as one line with its fields; bounded, and what it leaves out is told.

    Of each kind at most `limit` lines are written in `window` seconds, the first ones; how many more there were
    follows in a line of its own when the window ends.

    Args:
        clock: for the end of a window.
        limit: lines of one kind in one window.
        window: seconds.
    """

    def __init__(self, clock: Clock, *, limit: int = 50, window: float = 10.0) -> None:
        self._clock = clock
        self._limit = limit
        self._window_ns = round(window * NS_PER_S)
        self._ends_at = 0
        self._written: dict[type[Message], int] = {}
        self._suppressed: dict[type[Message], int] = {}
        self._timer: Timer | None = None

    def tell(self, event: Message) -> None:
        """Log `event`, on the event loop of the feed."""
        kind = type(event)
        level = level_of(event)
        if not _log.isEnabledFor(level):
            return
        now = self._clock.monotonic_ns()
        if now >= self._ends_at:
            self.end_window()
            self._ends_at = now + self._window_ns
        written = self._written.get(kind, 0)
        if written >= self._limit:
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            if self._timer is None:  # nothing may follow that would end the window
                self._timer = self._clock.call_at(self._ends_at, self.end_window)
            return
        self._written[kind] = written + 1
        _log.log(level, "%s", _words(kind), extra=fields_of(event))

    def end_window(self) -> None:
        """Tell what was left out, and begin anew; at the end of each window, and of the feed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._written.clear()
        suppressed, self._suppressed = self._suppressed, {}
        for kind, count in suppressed.items():
            _log.warning(
                "%s: %d more in the last %g s were not logged",
                _words(kind),
                count,
                self._window_ns / NS_PER_S,
                extra={"event": kind.__name__, "suppressed": count},
            )


def level_of(event: Message) -> int:
    """How grave it is: a loss or a fault is a warning; that it is over, or was our own wish, is information."""
    if isinstance(event, BookAudited) and event.wrong:
        return logging.WARNING
    if isinstance(event, Disconnected) and event.planned:
        return logging.INFO
    if isinstance(event, BookInvalidated) and event.reason == "disconnected":
        return logging.INFO  # what `Disconnected` has told already, once for each book
    return _LEVELS.get(type(event), logging.INFO)


def fields_of(event: Message) -> dict[str, Any]:
    """What a log record gets as `extra`: the kind of event, where it came from, and its own fields.

    An event's `of` is `channel` here, as everywhere in logs and metrics; fields that say nothing are left out.
    """
    fields: dict[str, Any] = {"event": type(event).__name__}
    if event.connection:
        fields |= {"connection": event.connection, "epoch": event.epoch}
    if event.received_ns:
        fields["received_ns"] = event.received_ns
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name not in _BULKY and value is not None and value != ():
            fields["channel" if name == "of" else name] = value
    return fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, and whatever `extra` gave the record.

    `time` is RFC 3339 in UTC with nine digits, of which the clock of `logging` fills six or seven.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line = {
            "time": time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encoded(line)


class TextFormatter(logging.Formatter):
    """One line for a person: time, level, logger, message, and `name=value` for whatever `extra` gave the record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, with a traceback below it if it has one."""
        message = record.getMessage()
        shown = message if message.isprintable() else _quoted(message)
        extra = " ".join(f"{name}={_plain(value)}" for name, value in _extra(record).items())
        line = f"{time_of(record)} {record.levelname.lower():7} {record.name}: {shown} {extra}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def time_of(record: logging.LogRecord) -> str:
    """When it was logged, RFC 3339 in UTC."""
    seconds, fraction = divmod(record.created, 1)
    return format_timestamp(int(seconds) * NS_PER_S + int(fraction * NS_PER_S), 9)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _words(kind: type[Message]) -> str:
    """`BookInvalidated` as `book invalidated`."""
    name = kind.__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _plain(value: object) -> str:
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text if text and text.isprintable() and not set(text) & {" ", '"'} else _quoted(text)


def _quoted(text: str) -> str:
    """In quotes, and on one line: what the exchange writes must not look like a line of ours."""
    return _encoded(text)


def _encoded(value: object) -> str:
    """As JSON; what is no Unicode, such as the name of a file may be, is escaped rather than the line lost."""
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str, separators=(",", ":"))


_encoder = msgspec.json.Encoder(decimal_format="string", enc_hook=str)
