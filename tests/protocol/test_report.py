"""Digests and figures: what they depend on, and what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.frames import v2_element, v2_frame
from helpers.wire import Feed, S, Wire, ack, book, ticker, timestamp, trades
from krakenwire.events import (
    NO_STAMP,
    BookResynced,
    CallbackFailed,
    CallbackSlow,
    Connected,
    Heartbeat,
    LoopStalled,
    Message,
    ReadingPaused,
    ReadingResumed,
    Stamp,
    SystemStatus,
)
from krakenwire.journal import FrameReplay, read_frames
from krakenwire.protocol.report import EventLog, make_report, state_digest

BTC = "BTC/USD"


def digest(*events: Any) -> str:
    log = EventLog()
    log.add(events)
    return log.hexdigest()


def replayed(*frames: bytes, start: int = 0) -> Wire:
    wire = Wire(passive=True)
    wire.now += start
    wire.receive(*frames)
    return wire


def test_order_of_events_matters() -> None:
    one, two = Heartbeat(seq=1), SystemStatus(system="online", seq=2)
    assert digest(one, two) != digest(two, one)
    assert digest(one, two) == digest(one, two)


def test_batches_do_not_matter() -> None:
    log = EventLog()
    log.add([Heartbeat(seq=1)])
    log.add([])
    log.add([Heartbeat(seq=2)])
    assert log.hexdigest() == digest(Heartbeat(seq=1), Heartbeat(seq=2))
    assert log.count == 2


def test_times_and_addresses_of_ours_do_not_matter_but_kraken_s_words_do() -> None:
    later = Stamp("public", 0, 77, 78)
    assert digest(Heartbeat(seq=1)) == digest(Heartbeat(seq=1, stamp=later, n=500))
    assert digest(Connected(url="wss://a", downtime_ns=1)) == digest(Connected(url="wss://b", downtime_ns=2))
    resynced = BookResynced(symbol=BTC, depth=10, took_ns=1, attempts=1)
    assert digest(resynced) == digest(BookResynced(symbol=BTC, depth=10, took_ns=99, attempts=1))
    assert digest(resynced) != digest(BookResynced(symbol=BTC, depth=10, took_ns=1, attempts=2))
    assert digest(SystemStatus(system="online")) != digest(SystemStatus(system="maintenance"))


def test_how_busy_this_machine_was_does_not_matter_but_is_counted() -> None:
    came = Heartbeat(seq=1)
    ours: list[Message] = [LoopStalled(stalled_ns=S), ReadingPaused(reason="slow"), ReadingResumed(paused_ns=S)]
    ours += [
        CallbackFailed(reader="mine", error="ValueError", failures=1),
        CallbackSlow(reader="mine", took_ns=S, slow=1),
    ]
    assert digest(*ours, came) == digest(came)
    log = EventLog()
    log.add([*ours, came])
    assert log.count == 6


def test_same_frames_at_other_times_have_the_same_digests() -> None:
    feed = Feed()
    frames = [feed.snapshot(), feed.update(), trades(1, 2), ticker(), b"garbage", feed.update(checksum_off=1)]
    early, late = replayed(*frames), replayed(*frames, start=12345 * S)
    assert early.log[0].stamp != late.log[0].stamp
    assert digest(*early.log) == digest(*late.log)
    assert state_digest(early.core) == state_digest(late.core)


def test_every_byte_of_a_book_message_counts_in_the_event_digest() -> None:
    feed = Feed()
    frame = feed.snapshot()
    spaced = frame.replace(b'"data":[', b'"data": [')
    assert digest(*replayed(frame).log) != digest(*replayed(spaced).log)
    assert state_digest(replayed(frame).core) == state_digest(replayed(spaced).core)


def test_one_quantity_changes_the_state_digest() -> None:
    def state(qty: str, price: str = "100.0", depth: int = 10, symbol: str = BTC) -> str:
        wire = Wire(passive=True)
        request = {"method": "subscribe", "req_id": 1, "params": {"channel": "book", "depth": depth}}
        feed = Feed(symbol, depth)
        wire.receive(ack(request, symbol), feed.snapshot([(price, qty)], []))
        return state_digest(wire.core)

    assert state("1.00000000") == state("1.0") == state("1.00000000", "100.00"), "canonical: zeros are no content"
    others = [state("1.00000001"), state("1.0", "100.1"), state("1.0", depth=25), state("1.0", symbol="ETH/USD")]
    assert len({state("1.0"), *others}) == 5


def test_sides_and_syncedness_are_state() -> None:
    level = [("100.0", "1.0")]
    bid, ask = Feed().snapshot(level, []), Feed().snapshot([], level)
    assert state_digest(replayed(bid).core) != state_digest(replayed(ask).core)
    feed = Feed()
    synced = replayed(feed.snapshot())
    before = state_digest(synced.core)
    synced.state().invalidate("checksum")
    assert state_digest(synced.core) != before


def test_books_are_sorted_however_they_came() -> None:
    one, two = Feed("A/B").snapshot(), Feed("C/D").snapshot()
    assert state_digest(replayed(one, two).core) == state_digest(replayed(two, one).core)


def test_figures_say_what_happened() -> None:
    feed = Feed()
    wire = replayed(
        *(feed.snapshot(), feed.update(), feed.update(checksum_off=1), feed.update(), feed.snapshot()),
        *(trades(1, 2), trades(2), b"\xff", feed.update([("101.5", "1.0")])),
    )
    log = EventLog()
    log.add(wire.log)
    report = make_report(wire.core, log, 2.0)
    assert (report.frames, report.frames_per_second, report.seconds) == (9, 4.5, 2.0)
    assert (report.verified, report.mismatched, report.ignored, report.crossed, report.backwards) == (3, 1, 1, 1, 0)
    assert (report.resyncs, report.repeated, report.undecodable, report.symbols, report.instruments) == (1, 1, 1, 1, 0)
    assert report.by_type == {
        "BookInvalidated": 2,
        "BookResynced": 1,
        "BookUpdate": 3,
        "Trade": 2,
        "Undecodable": 1,
    }
    assert report.events == 9
    assert not report.sound


def test_sound_run_is_one_in_which_nothing_was_found_wrong() -> None:
    feed = Feed()
    for frames, sound in (
        ([feed.snapshot(), feed.update(), b'{"channel":"heartbeat"}', b'{"channel":"new"}'], True),
        ([b"garbage"], False),
        ([v2_frame("snapshot", v2_element(BTC, [], [], 5, timestamp(1)))], False),
    ):
        wire = replayed(*frames)
        log = EventLog()
        log.add(wire.log)
        assert make_report(wire.core, log, 0.0).sound is sound


def test_no_time_at_all_is_no_division() -> None:
    assert make_report(Wire(passive=True).core, EventLog(), 0.0).frames_per_second == 0.0


def test_live_core_reports_too() -> None:
    wire = Wire().start()
    wire.subscribe(book())
    wire.receive(Feed().snapshot())
    log = EventLog()
    log.add(wire.log)
    report = make_report(wire.core, log, 1.0)
    assert (report.verified, report.symbols, report.by_type) == (1, 1, {"BookUpdate": 1, "Connected": 1})
    assert wire.log[0].stamp != NO_STAMP


def test_connection_id_beyond_64_bits_can_be_digested() -> None:
    frame = b'{"channel":"status","type":"update","data":[{"system":"online","connection_id":99999999999999999999}]}'
    assert digest(*replayed(frame).log)


def test_v1_capture_and_its_v2_form_end_in_the_same_state(captures: Path) -> None:
    ends = []
    for name in ("v1_book1000_10pairs_2021.frames.jsonl", "v2_book1000_10pairs_reencoded.frames.jsonl"):
        replay = FrameReplay()
        with (captures / name).open("rb") as file:
            replay.feed(read_frames(file))
        ends.append(replay)
    assert state_digest(ends[0].core) == state_digest(ends[1].core)
    (session,) = ends[1].core.sessions
    session.books.get("BTC/USD").invalidate("checksum")  # type: ignore[union-attr]  # the capture has it
    assert state_digest(ends[0].core) != state_digest(ends[1].core)
