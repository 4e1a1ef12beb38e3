"""A run of frames in one call, each with its own moment; and the text that the digest of events has of updates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.frames import v1_snapshot, v1_update, v2_element, v2_frame, walk
from krakenwire.book import kernel, pure
from krakenwire.errors import FrameError
from krakenwire.events import Heartbeat, Stamp

FRAMES = [v2_frame(kind, v2_element("BTC/USD", bids, asks, sum_)) for kind, bids, asks, sum_, _ in walk(3, updates=40)]
ODD = (
    b'{"channel":"heartbeat"}',
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":',
    FRAMES[0],
    v2_frame("update", v2_element("ETH/USD", [("1.0", "1.0")], [], 1)),
    v2_frame("update", v2_element("BTC/USD", [("64499.9", "0.00000001")], [], 1)),
)


def outcome(module: Any, frames: list[bytes], start: int, many: bool) -> Any:
    books = module.Books(skip_unknown=False)
    books.add("BTC/USD", 10)
    books.apply(FRAMES[0], [])
    stamps = [Stamp("public", 0, number, number) for number in range(len(frames))]
    out: list[Any] = []
    broken: FrameError | None = None
    code, consumed = module.QUIET, 0
    try:
        if many:
            consumed = books.apply_run(frames, stamps, start, out, 100, 7)
            code = books.last_code
        else:
            for at in range(start, len(frames)):
                consumed += 1
                before = len(out)
                code = books.apply(frames[at], out, stamps[at], 99 + consumed, 6 + consumed)
                if code != module.QUIET:
                    break
    except FrameError as error:
        broken = error
    if many:
        assert consumed in (0, books.last_consumed)
        consumed, before = books.last_consumed, books.last_start
    told = [(event.n, event.seq, event.stamp, event.outcome, event.frame) for event in out]
    counted = books.verified, books.mismatched, books.ignored
    state = books.get("BTC/USD")
    return told, code, consumed, str(broken), counted, state.levels("bids"), before if consumed else 0


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[bytes], int]:
    frames = FRAMES[1 : draw(st.integers(1, 40))]
    for odd in draw(st.lists(st.sampled_from(ODD), max_size=2)):
        frames.insert(draw(st.integers(0, len(frames))), odd)
    return frames, draw(st.integers(0, len(frames)))


@given(runs())
def test_run_is_the_same_as_one_frame_at_a_time_on_both_kernels(run: tuple[list[bytes], int]) -> None:
    expected = outcome(pure, *run, many=False)
    for module in (pure, kernel):
        assert outcome(module, *run, many=True) == expected


def test_each_frame_needs_a_stamp(impl: Any) -> None:
    with pytest.raises(ValueError, match="each frame needs a stamp"):
        impl.Books().apply_run([b"{}"], [], 0, [])


def updates(module: Any) -> list[Any]:
    books = module.Books()
    books.add("BTC/USD", 10)
    books.add("XBT/EUR", 10)
    out: list[Any] = []
    for number, frame in enumerate(FRAMES):
        books.apply(frame, out, seq=number)
    books.apply(v2_frame("snapshot", v2_element("BTC/USD", [("0.000001230", "100.500")], [], 7)), out, seq=-12)
    books.apply(v1_snapshot("XBT/EUR", 10, [("5541.30000", "2.50700000")], [("5541.40", "0.1")]), out, seq=2**62)
    books.apply(v1_update("XBT/EUR", 10, [("5541.2", "1")], [], 1), out)
    return out


def expected_text(event: Any) -> bytes:
    figures = f"\nBookUpdate {event.seq} {event.symbol} {event.outcome} {' '.join(event.bbo_text())} "
    return figures.encode() + bytes(event.frame)


def test_text_of_updates_ends_before_what_is_none(impl: Any) -> None:
    events = updates(impl)
    assert len({event.outcome for event in events}) > 2
    assert "" in events[-3].bbo_text(), "a side that is empty"
    texts = [expected_text(event) for event in events]
    assert impl.update_texts(events, 0, len(events)) == (b"".join(texts), len(events))
    events.insert(5, Heartbeat())
    assert impl.update_texts(events, 2, len(events)) == (b"".join(texts[2:5]), 5)
    assert impl.update_texts(events, 2, 4) == (b"".join(texts[2:4]), 4)
    assert impl.update_texts(events, 5, len(events)) == (b"", 5)
    assert impl.update_texts(events, 6, 1000) == (b"".join(texts[5:]), len(events))
    assert impl.update_texts([], 0, 0) == (b"", 0)
