"""An event is one line for a person, and one JSON object for a program, whatever it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from helpers.frames import v2_element, v2_frame, walk
from krakenwire import (
    Asset,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Connected,
    Disconnected,
    Gap,
    Heartbeat,
    Instrument,
    Loss,
    Message,
    Ohlc,
    Raw,
    Stamp,
    Subscribed,
    Ticker,
    Trade,
    Undecodable,
)
from krakenwire.book import Books, BookUpdate
from krakenwire.cli.event_text import as_line, as_object, plain
from krakenwire.events import NO_STAMP

ONE = Decimal("1.0")
TIME = 1_767_225_600_000_000_000
STAMP = Stamp("public", 2, 77, 5)
FOLLOWER = Stamp("public~", 2, 77, 5)
TICKER: dict[str, Any] = dict.fromkeys(("bid", "bid_qty", "ask", "ask_qty", "last", "volume"), Decimal("0.00000010"))
TICKER |= dict.fromkeys(("vwap", "low", "high", "change", "change_pct"))
OHLC: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "vwap", "volume"), ONE)
INSTRUMENT: dict[str, Any] = {"base": "BTC", "quote": "USD", "price_precision": 1, "qty_precision": 8}
INSTRUMENT |= {"cost_precision": 5, "price_increment": Decimal("0.1"), "qty_increment": Decimal("1E-8"), "qty_min": ONE}

EVENTS: list[tuple[Message, str]] = [
    (
        Trade(
            symbol="BTC/USD",
            side="buy",
            price=Decimal("64525.10"),
            qty=Decimal("1E-8"),
            ord_type="limit",
            trade_id=7,
            exchange_ns=TIME,
            stamp=STAMP,
        ),
        "buy 0.00000001 @ 64525.10",
    ),
    (Ticker(symbol="BTC/USD", type="update", exchange_ns=None, **TICKER), "bid 0.00000010 x 0.00000010"),
    (
        Ohlc(symbol="BTC/USD", type="update", interval=5, interval_begin_ns=TIME, trades=3, exchange_ns=None, **OHLC),
        "5 min",
    ),
    (Instrument(symbol="BTC/USD", type="update", status="online", **INSTRUMENT), "quantity of 0.00000001"),
    (Asset(id="BTC", type="update", status="enabled", precision=10, precision_display=5), "10 decimals"),
    (Heartbeat(), "Heartbeat"),
    (Raw(name="l4", reason="unknown channel", frame=b'{"channel":"l4"}'), "unknown channel"),
    (Undecodable(reason="no JSON", offset=3, frame=b"Service \xff"), "no JSON at byte 3: Service"),
    (Connected(url="ws://x", downtime_ns=1_500_000_000), "again after 1.500 s"),
    (Disconnected(reason="gone", code=1006), "gone (code 1006); it will be opened again"),
    (Disconnected(reason="no", code=1008, terminal=True), "for good"),
    (Subscribed(of="book", symbol="BTC/USD", depth=10), "of=book"),
    (
        BookInvalidated(symbol="BTC/USD", depth=10, reason="checksum", expected=1, computed=2, text="12", frame=b"{}"),
        "expected 1, computed 2",
    ),
    (BookInvalidated(symbol="BTC/USD", depth=10, reason="crossed"), "not synced: crossed"),
    (BookResynced(symbol="BTC/USD", depth=10, took_ns=2_000_000, attempts=1), "after 0.002 s and 1 snapshot"),
    (BookQuarantined(symbol="BTC/USD", depth=10, attempts=5, retry_after_ns=60_000_000_000), "left alone for 60 s"),
    (Gap(of="trade", symbol="BTC/USD", reason="trade_id jumped", first=3, last=5, count=3), "3 missing in trade"),
    (Gap(of="ticker", symbol="BTC/USD", reason="disconnected"), "an unknown number missing in ticker"),
    (Loss(reason="too slow", count=4, cause=Gap(of="trade", symbol=None, reason="x")), "4 event(s) lost: too slow"),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=[type(event).__name__ for event, _ in EVENTS])
def test_line_is_one_and_says_what_happened(event: Message, expected: str) -> None:
    line = as_line(event)
    assert expected in line
    assert line.startswith(type(event).__name__)
    assert "\n" not in line


@pytest.mark.parametrize("event", [event for event, _ in EVENTS], ids=[type(event).__name__ for event, _ in EVENTS])
def test_object_has_every_field_and_is_json(event: Message) -> None:
    encoded = msgspec.json.decode(msgspec.json.Encoder(decimal_format="string").encode(as_object(event)))
    fields = set(event.__struct_fields__) - {"stamp"}
    assert encoded.keys() == fields | {"event", "channel", "connection", "epoch", "received_ns"}
    assert (encoded["event"], encoded["channel"]) == (type(event).__name__, event.channel)


def test_object_says_where_it_came_from() -> None:
    found = as_object(EVENTS[0][0])
    assert (found["connection"], found["epoch"], found["received_ns"]) == ("public", 2, 77)


def test_cause_of_a_loss_is_an_object_of_its_own() -> None:
    assert as_object(EVENTS[-1][0])["cause"]["event"] == "Gap"


def test_book_update_has_its_levels_as_they_were_on_the_wire() -> None:
    (kind, bids, asks, checksum, _), *_ = walk(1)
    books, out = Books(), list[BookUpdate]()
    books.add("BTC/USD", 10)
    books.apply(v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum)), out, NO_STAMP, 1, 1)
    found = as_object(out[0])
    assert [(plain(price), plain(qty)) for price, qty in found["bids"]] == bids
    assert (found["checksum"], found["outcome"], found["best_ask"]) == (checksum, "verified", found["asks"][0])
    assert "snapshot verified  20 level(s)" in as_line(out[0])


def test_number_is_never_written_with_an_exponent() -> None:
    assert plain(Decimal("1E-10")) == "0.0000000001"
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(None) == "-"


@pytest.mark.parametrize("event", [Connected(stamp=FOLLOWER, url="ws://x"), Disconnected(stamp=FOLLOWER, reason="no")])
def test_what_happens_to_a_connection_names_it(event: Message) -> None:
    assert as_line(event).split()[1] == "public~"
