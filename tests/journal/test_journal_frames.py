"""Files of recorded frames, in every shape that people keep them in."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.errors import FrameError
from krakenwire.journal import RecordedFrame, read_frames

HEARTBEAT = b'{"channel":"heartbeat"}'
BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":62807.0,"qty":0.00005100}],'
    b'"asks":[{"price":1e-05,"qty":0.00000000}],"checksum":18446744073709551615}]}'
)


def read(*lines: bytes, end: bytes = b"\n") -> list[RecordedFrame]:
    return list(read_frames(io.BytesIO(end.join(lines) + end)))


def frames(*lines: bytes) -> list[bytes]:
    return [recorded.frame for recorded in read(*lines)]


def test_one_frame_a_line_is_passed_on_byte_for_byte() -> None:
    assert read(HEARTBEAT, BOOK) == [RecordedFrame(HEARTBEAT), RecordedFrame(BOOK)]


def test_v1_arrays_are_frames() -> None:
    array = b'[336,{"as":[],"bs":[]},"book-10","XBT/USD"]'
    assert frames(array, b'{"event":"heartbeat"}') == [array, b'{"event":"heartbeat"}']


def test_object_with_a_frame_tells_time_and_direction() -> None:
    line = b'{"rx_ns": 23835133694100, "dir": "rx", "frame": ' + BOOK + b"}"
    sent = b'{"rx_ns": 5, "dir": "tx", "frame": {"method":"ping"}}'
    assert read(line, sent) == [RecordedFrame(BOOK, 23835133694100), RecordedFrame(b'{"method":"ping"}', 5, sent=True)]


@pytest.mark.parametrize(
    ("direction", "sent"), [("tx", True), ("out", True), ("sent", True), ("rx", False), ("in", False)]
)
def test_direction_has_several_words(direction: str, sent: bool) -> None:
    assert read(json.dumps({"dir": direction, "raw": "x"}).encode()) == [RecordedFrame(b"x", None, sent)]


def test_object_with_a_raw_string_holds_any_text() -> None:
    assert frames(*(json.dumps({"src": "a", "raw": text}).encode() for text in (BOOK.decode(), "not json é", ""))) == [
        BOOK,
        "not json é".encode(),
        b"",
    ]


def test_frame_that_is_kept_as_a_string_is_its_content() -> None:
    assert frames(json.dumps({"frame": BOOK.decode()}).encode()) == [BOOK]


def test_object_that_names_the_channel_beside_the_frame_is_not_taken_for_one() -> None:
    assert frames(b'{"rx_ns":5,"channel":"book","frame":' + BOOK + b"}", b'{"error":null,"raw":"x"}') == [BOOK, b"x"]


def test_first_line_may_describe_the_recording() -> None:
    description = b'{"captured_at":"2026-08-18","url":"wss://ws.kraken.com/v2","depth":25}'
    assert frames(description, HEARTBEAT) == [HEARTBEAT]
    assert frames(HEARTBEAT, description) == [HEARTBEAT, description], "only the first"
    assert frames(description) == []


def test_first_frame_is_not_taken_for_a_description() -> None:
    for first in (
        HEARTBEAT,
        b'{"method":"pong"}',
        b'{"event":"pong"}',
        b'{"error":"x"}',
        b'{"Error":"x"}',
        b'{"raw":"x"}',
    ):
        assert len(frames(first, HEARTBEAT)) == 2


def test_lines_that_are_no_json_are_frames_too() -> None:
    lines = [b"hello", b'{"channel":', b"[1,2", b'{"rx_ns":"text","frame":{}}', b"\xff\xfe", b'{"raw":"\xff"}']
    assert frames(HEARTBEAT, *lines) == [HEARTBEAT, *lines]
    assert frames(*lines) == lines


def test_first_line_that_is_broken_json_is_a_frame_like_any_other() -> None:
    assert frames(b'{"channel":', HEARTBEAT, b"", BOOK) == [b'{"channel":', HEARTBEAT, BOOK]


def test_frame_that_is_nested_without_end_is_passed_on() -> None:
    deep = b'{"a":' * 100_000
    assert frames(deep, HEARTBEAT) == [deep, HEARTBEAT]


def test_broken_string_for_a_frame_is_passed_on_as_the_line_it_is() -> None:
    line = b'{"frame":"\\ud800"}'
    assert frames(HEARTBEAT, line) == [HEARTBEAT, line]


def test_blank_lines_and_foreign_line_ends_are_skipped() -> None:
    assert [recorded.frame for recorded in read(b"", HEARTBEAT, b"  ", BOOK, b"", end=b"\r\n")] == [HEARTBEAT, BOOK]


@pytest.mark.parametrize("content", [HEARTBEAT, HEARTBEAT + b"\n", b"\n\n" + HEARTBEAT])
def test_last_line_needs_no_end(content: bytes) -> None:
    assert list(read_frames(io.BytesIO(content))) == [RecordedFrame(HEARTBEAT)]


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n"])
def test_empty_file_has_no_frames(content: bytes) -> None:
    assert list(read_frames(io.BytesIO(content))) == []


@pytest.mark.parametrize("indent", [1, 2, "\t"])
def test_single_frame_over_many_lines_is_one_frame_with_its_own_text(indent: int | str) -> None:
    text = json.dumps(json.loads(BOOK, parse_float=lambda digits: digits), indent=indent).encode()
    assert list(read_frames(io.BytesIO(b"\n" + text + b"\n"))) == [RecordedFrame(text)]


@pytest.mark.parametrize(
    "content",
    [b"\0\1\2\n", b"\x1f\x8b\x08\x00\x00", b"PK\x03\x04", b"(\xb5/\xfd\x04X\x91\x01\x00", b"text\0more\n"],
)
def test_binary_file_is_refused_and_the_place_is_named(content: bytes) -> None:
    with pytest.raises(FrameError, match="got binary data") as caught:
        list(read_frames(io.BytesIO(content)))
    assert content[caught.value.offset] < 32


@given(st.lists(st.one_of(st.just(HEARTBEAT), st.just(BOOK), st.binary(max_size=30)), max_size=12))
def test_no_content_raises_but_binary_data(lines: list[bytes]) -> None:
    try:
        found = read(*lines)
    except FrameError:
        assert any(byte < 32 for line in lines for byte in line)
    else:
        assert all(isinstance(recorded.frame, bytes) for recorded in found)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([HEARTBEAT, BOOK]),
            st.sampled_from(["plain", "frame", "raw", "string"]),
            st.integers(0, 2**62),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_every_shape_gives_the_frame_back(kept: list[tuple[bytes, str, int]]) -> None:
    lines, expected = [], []
    for frame, shape, rx_ns in kept:
        if shape == "plain":
            lines.append(frame)
        elif shape == "frame":
            lines.append(msgspec.json.encode({"rx_ns": rx_ns, "frame": msgspec.Raw(frame)}))
        else:
            lines.append(json.dumps({"rx_ns": rx_ns, "raw" if shape == "raw" else "frame": frame.decode()}).encode())
        expected.append(RecordedFrame(frame, None if shape == "plain" else rx_ns))
    assert read(*lines) == expected


def test_captures_have_the_frames_that_their_index_says(captures: Path) -> None:
    for name, count, sent in (
        ("v2_book10_btcusd_2026.frames.jsonl", 1376, 0),
        ("v1_book1000_10pairs_2021.frames.jsonl", 14636, 0),
        ("v2_private_and_replies.jsonl", 53, 0),
        ("v2_instrument_snapshot.json", 1, 0),
    ):
        with (captures / name).open("rb") as file:
            recorded = list(read_frames(file))
        assert (name, len(recorded), sum(item.sent for item in recorded)) == (name, count, sent)
    with (captures / "v2_book25_minagbp_resync_2026.ndjson").open("rb") as file:
        recorded = list(read_frames(file))
    assert {item.sent for item in recorded} == {True, False}
    assert all(item.received_ns is not None for item in recorded)
