"""What is sent on a public connection, as exact bytes: subscribe, unsubscribe, ping (PROTOCOL 2.1, 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from krakenwire.errors import UsageError

__all__ = [
    "BOOK_DEPTHS",
    "CHANNELS",
    "DEFAULT_BOOK_DEPTH",
    "DEFAULT_OHLC_INTERVAL",
    "EVENT_TRIGGERS",
    "OHLC_INTERVALS",
    "check_subscription",
    "ping",
    "subscribe",
    "unsubscribe",
]

CHANNELS = ("book", "trade", "ticker", "ohlc", "instrument")
"""The public channels that can be subscribed to; `status` and `heartbeat` come by themselves (PROTOCOL 3)."""

BOOK_DEPTHS = (10, 25, 100, 500, 1000)
"""Levels a side (PROTOCOL 3.5)."""

DEFAULT_BOOK_DEPTH = 10

OHLC_INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
"""Minutes (PROTOCOL 3.8)."""

DEFAULT_OHLC_INTERVAL = 1

EVENT_TRIGGERS = ("trades", "bbo")
"""What makes a ticker speak: trades (the default), or each change of the best bid or offer (PROTOCOL 3.4)."""


def check_subscription(
    channel: str,
    *,
    depth: int | None = None,
    interval: int | None = None,
    event_trigger: str | None = None,
) -> None:
    """Refuse what Kraken would refuse, before anything is sent.

    Raises:
        UsageError: no such public channel, or it has no such option, or the option has no such value.
    """
    _check_choice("channel", channel, CHANNELS)
    for option, value, owner, choices in (
        ("depth", depth, "book", BOOK_DEPTHS),
        ("interval", interval, "ohlc", OHLC_INTERVALS),
        ("event_trigger", event_trigger, "ticker", EVENT_TRIGGERS),
    ):
        if value is None:
            continue
        if channel != owner:
            raise UsageError(f"{option} is an option of the channel {owner!r}, not of {channel!r}: leave it out")
        _check_choice(option, value, choices)


def subscribe(
    channel: str,
    symbols: Sequence[str] | None,
    *,
    req_id: int | None = None,
    depth: int | None = None,
    interval: int | None = None,
    event_trigger: str | None = None,
    snapshot: bool | None = None,
) -> bytes:
    """A subscribe request; one acknowledgement per symbol answers it, all with this `req_id`.

    Values are encoded as they are (it is `check_subscription` that judges them); what is None is left out.

    Args:
        channel: Kraken's name.
        symbols: in v2's spelling; None for a channel without symbols.
        req_id: comes back in every acknowledgement.
        depth: of book.
        interval: of ohlc, minutes.
        event_trigger: of ticker.
        snapshot: whether one is wanted; the channels have defaults of their own (PROTOCOL 2.4).
    """
    return _request(
        "subscribe",
        channel,
        symbols,
        req_id,
        depth=depth,
        interval=interval,
        event_trigger=event_trigger,
        snapshot=snapshot,
    )


def unsubscribe(
    channel: str,
    symbols: Sequence[str] | None,
    *,
    req_id: int | None = None,
    depth: int | None = None,
    interval: int | None = None,
    event_trigger: str | None = None,
) -> bytes:
    """An unsubscribe request.

    Give the depth, interval and event_trigger that were subscribed: they are part of what identifies a
    subscription, and Kraken wants them repeated unless they are its defaults (PROTOCOL 2.4); repeating a
    default does no harm.
    """
    return _request(
        "unsubscribe",
        channel,
        symbols,
        req_id,
        depth=depth,
        interval=interval,
        event_trigger=event_trigger,
        snapshot=None,
    )


def ping(req_id: int) -> bytes:
    """A ping of the application's own, apart from WebSocket's (PROTOCOL 3.3)."""
    return msgspec.json.encode({"method": "ping", "req_id": req_id})


def _request(
    method: str,
    channel: str,
    symbols: Sequence[str] | None,
    req_id: int | None,
    *,
    depth: int | None,
    interval: int | None,
    event_trigger: str | None,
    snapshot: bool | None,
) -> bytes:
    params = {
        "channel": channel,
        "symbol": symbols,
        "depth": depth,
        "interval": interval,
        "event_trigger": event_trigger,
        "snapshot": snapshot,
    }
    message = {
        "method": method,
        "params": {name: value for name, value in params.items() if value is not None},
        "req_id": req_id,
    }
    if req_id is None:
        del message["req_id"]
    return msgspec.json.encode(message)


def _check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices or type(value) is not type(choices[0]):
        listed = ", ".join(str(choice) for choice in choices)
        raise UsageError(f"expected {name} to be one of {listed}, got {value!r}")
