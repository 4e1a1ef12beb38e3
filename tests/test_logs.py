"""Lifecycle events as log records, bounded, with nothing left out unsaid; records as lines of JSON and of text."""

from __future__ import annotations

import json
import logging
import os
from decimal import Decimal

import pytest

from krakenwire import events
from krakenwire.clock import NS_PER_S, ManualClock
from krakenwire.events import (
    BookAudited,
    BookInvalidated,
    Connected,
    Disconnected,
    Gap,
    Message,
    Stalled,
    Stamp,
    Subscribed,
)
from krakenwire.logs import JsonFormatter, LifecycleLog, TextFormatter, fields_of, level_of
from krakenwire.testing import Simulator

HERE = Stamp("public", 3, 1_700_000_000 * NS_PER_S, 5)
NAME = "krakenwire.lifecycle"


def mismatch(n: int = 1) -> BookInvalidated:
    return BookInvalidated(
        symbol="BTC/USD",
        depth=10,
        reason="checksum",
        expected=1,
        computed=2,
        text="5005" * 100,
        normalised_text="5005" * 100,
        frame=b"{}" * 1000,
        stamp=HERE,
        n=n,
        seq=7,
    )


def lifecycle_events() -> list[type[Message]]:
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind.channel == events.LIFECYCLE
    ]


# --- what is logged --------------------------------------------------------------------------------------------------


def test_an_event_is_one_record_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", NAME):
        LifecycleLog(ManualClock()).tell(mismatch())
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == (NAME, "WARNING", "book invalidated")
    assert fields_of(mismatch()) == {
        "event": "BookInvalidated",
        "connection": "public",
        "epoch": 3,
        "received_ns": 1_700_000_000 * NS_PER_S,
        "n": 1,
        "seq": 7,
        "symbol": "BTC/USD",
        "depth": 10,
        "reason": "checksum",
        "expected": 1,
        "computed": 2,
    }
    assert {name: getattr(record, name) for name in fields_of(mismatch())} == fields_of(mismatch())


def test_of_is_the_channel_and_what_says_nothing_is_left_out() -> None:
    fields = fields_of(Gap(of="trade", symbol="BTC/USD", reason="too old"))
    assert fields["channel"] == "trade"
    assert not fields.keys() & {"of", "first", "last", "count", "connection", "epoch", "received_ns"}


@pytest.mark.parametrize("kind", lifecycle_events(), ids=lambda kind: kind.__name__)
def test_no_field_of_an_event_is_one_that_a_record_has_already(kind: type[Message]) -> None:
    record = logging.makeLogRecord({})
    names = {"channel" if name == "of" else name for name in kind.__struct_fields__} | {"event", "connection", "epoch"}
    assert not names & (record.__dict__.keys() | {"message", "asctime"})


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (mismatch(), "WARNING"),
        (Disconnected(reason="cut"), "WARNING"),
        (Disconnected(reason="the client was closed", terminal=True, planned=True), "INFO"),
        (BookInvalidated(symbol="BTC/USD", depth=10, reason="disconnected"), "INFO"),
        (Stalled(of="book", symbol="BTC/USD", silent_ns=1, limit_ns=1, evidence="ticker"), "WARNING"),
        (Connected(url="wss://x"), "INFO"),
        (Subscribed(of="book", symbol="BTC/USD"), "DEBUG"),
        (BookAudited(symbol="BTC/USD", depth=100, method="rest", levels=9, wrong=0, skipped=0), "INFO"),
        (BookAudited(symbol="BTC/USD", depth=100, method="rest", levels=9, wrong=1, skipped=0), "WARNING"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_loss_is_a_warning_and_good_news_are_information(event: Message, level: str) -> None:
    assert logging.getLevelName(level_of(event)) == level


# --- floods ----------------------------------------------------------------------------------------------------------


async def test_a_flood_is_cut_short_and_what_was_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    log = LifecycleLog(clock, limit=3, window=10)
    with caplog.at_level("INFO", NAME):
        for n in range(100):
            log.tell(mismatch(n))
        log.tell(Disconnected(reason="cut"))  # other kinds have a share of their own
        assert [record.getMessage() for record in caplog.records] == ["book invalidated"] * 3 + ["disconnected"]
        await clock.advance(10)
        assert caplog.records[-1].getMessage() == "book invalidated: 97 more in the last 10 s were not logged"
        assert (vars(caplog.records[-1])["event"], vars(caplog.records[-1])["suppressed"]) == ("BookInvalidated", 97)
        caplog.clear()
        log.tell(mismatch())
        assert [record.getMessage() for record in caplog.records] == ["book invalidated"]
        await clock.advance(60)
        assert len(caplog.records) == 1


async def test_a_window_ends_with_the_next_event_too(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    log = LifecycleLog(clock, limit=1, window=10)
    with caplog.at_level("INFO", NAME):
        log.tell(mismatch())
        await clock.advance(9)
        log.tell(mismatch())
        await clock.advance(0.5)
        log.end_window()  # as at the end of a feed
        log.end_window()
    assert [record.getMessage() for record in caplog.records] == [
        "book invalidated",
        "book invalidated: 1 more in the last 10 s were not logged",
    ]


def test_what_nobody_listens_to_costs_no_record(caplog: pytest.LogCaptureFixture) -> None:
    log = LifecycleLog(ManualClock(), limit=1)
    with caplog.at_level("ERROR", NAME):
        for _ in range(10):
            log.tell(mismatch())
        log.end_window()
    assert not caplog.records


# --- a client --------------------------------------------------------------------------------------------------------


async def test_a_client_logs_each_lifecycle_event_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", "krakenwire"):
        async with Simulator(symbols=["BTC/USD"], seed=7, rate=20) as sim:
            told: list[events.Event] = []
            async with sim.client(on_events=told.extend) as kraken, kraken.book("BTC/USD"):
                sim.inject("lose_update", symbol="BTC/USD", after=1.0)
                await sim.advance(5)
                kraken.drop_connections()
                await sim.advance(20)
    logged = [vars(record)["event"] for record in caplog.records if record.name == NAME]
    assert logged == [type(event).__name__ for event in told if event.channel == events.LIFECYCLE]
    assert {"Connected", "BookInvalidated", "BookResynced", "Disconnected"} <= set(logged)
    levels = [record.levelname for record in caplog.records if vars(record).get("event") == "Disconnected"]
    assert levels == ["WARNING", "INFO"]  # the second is our own close


def test_without_a_handler_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger(NAME)
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        logger.warning("nobody hears it")
    finally:
        root.handlers = handlers
    assert capsys.readouterr().err == ""


# --- lines -----------------------------------------------------------------------------------------------------------


def record_of(message: str, *args: object, **extra: object) -> logging.LogRecord:
    record = logging.getLogger("krakenwire.net").makeRecord(
        "krakenwire.net", logging.WARNING, "file", 1, message, args, None, extra=extra
    )
    record.created = 1_700_000_000.25
    return record


def test_json_is_one_object_a_line_with_all_fields() -> None:
    line = JsonFormatter().format(record_of("%d\nlines", 2, symbol="BTC/USD", price=Decimal("1.10"), n=5, ok=True))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250000000Z",
        "level": "warning",
        "logger": "krakenwire.net",
        "message": "2\nlines",
        "symbol": "BTC/USD",
        "price": "1.10",
        "n": 5,
        "ok": True,
    }


def test_json_takes_whatever_a_field_holds() -> None:
    line = json.loads(JsonFormatter().format(record_of("x", odd=object, ratio=float("nan"), raw=b"\xff")))
    assert line["odd"] == "<class 'object'>"
    assert line["ratio"] is None
    assert line["raw"]


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_name_of_a_file_that_is_no_unicode_costs_no_line(formatter: logging.Formatter) -> None:
    name = os.fsdecode(b"/var/\xff")
    line = formatter.format(record_of("the evidence is in %s", name, path=name, price=Decimal("1.10")))
    assert line.count("/var/\\udcff") == 2
    assert "1.10" in line
    line.encode()


def test_text_is_one_line_that_can_be_read_and_cut() -> None:
    line = TextFormatter().format(record_of("disconnected", connection="public", reason='closed "by us"', code=None))
    assert line == (
        "2023-11-14T22:13:20.250000000Z warning krakenwire.net: disconnected "
        'connection=public reason="closed \\"by us\\"" code=None'
    )


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_field_cannot_forge_a_line(formatter: logging.Formatter) -> None:
    forged = "a\nERROR forged\x1b[2J"
    line = formatter.format(record_of("refused: %s", forged, reason=forged))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_tracebacks_are_kept() -> None:
    record = record_of("failed")
    record.exc_info = (ValueError, ValueError("boom"), None)
    assert "ValueError: boom" in json.loads(JsonFormatter().format(record))["exception"]
    assert TextFormatter().format(record).endswith("ValueError: boom")
