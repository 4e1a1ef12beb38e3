"""Each line of a segment says exactly what it was made of."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.journalled import ACTIONS, FRAMES, INPUTS
from krakenwire.errors import FrameError
from krakenwire.journal.format.lines import (
    FORMAT,
    Head,
    Made,
    decode_action,
    decode_frame,
    decode_head,
    decode_input,
    encode_action,
    encode_frame,
    encode_head,
    encode_input,
)
from krakenwire.protocol.inputs import Answered, Disconnected, Input
from krakenwire.protocol.outputs import Action, Close

HEAD = Head(
    format=FORMAT,
    journal="0" * 32,
    segment=3,
    run=2,
    is_first=True,
    resumed=False,
    n=17,
    received_ns=1_790_000_000_000_000_000,
    made=Made(options={"seed": 5, "ack_timeout": 3.5}, mirror=True, book_audit="rest", reconnect_every="04:00:00"),
    endpoints={"public": "wss://ws.kraken.com/v2", "rest": "https://api.kraken.com"},
    krakenwire="1.0",
    kernel="compiled",
    python="3.11.7",
)


@given(FRAMES)
def test_any_frame_comes_back_and_is_one_line(frame: bytes) -> None:
    line = encode_frame(frame)
    assert decode_frame(line) == frame
    assert b"\n" not in line
    assert line[:1] in (b"{", b"[", b":", b";")


@given(INPUTS, st.booleans())
def test_any_input_comes_back_and_is_one_line(given_: Input, is_timed: bool) -> None:
    line = encode_input(given_, is_timed=is_timed)
    back = decode_input(line)
    assert (type(back), back) == (type(given_), given_)
    assert b"\n" not in line
    assert line[:1] == (b"!" if is_timed else b"=")


@given(ACTIONS)
def test_any_action_comes_back_and_is_one_line(action: Action) -> None:
    line = encode_action(action)
    assert (type(decode_action(line)), decode_action(line)) == (type(action), action)
    assert b"\n" not in line
    assert line[:1] == b">"


def test_an_answer_is_readable_where_it_is_text_and_base64_where_it_is_not() -> None:
    body = '{"error":[],"result":{"XXBTZUSD":["1\u00e9"]}}\n'.encode()
    kept = json.loads(encode_input(Answered(7, body, None, True, None))[1:])
    assert kept == ["answered", 7, body.decode(), None, True, None]
    kept = json.loads(encode_input(Answered(7, b"\xff\0", None, True, 1.5))[1:])
    assert kept == ["answered", 7, {"base64": base64.b64encode(b"\xff\0").decode()}, None, True, 1.5]


def test_words_that_utf_8_cannot_hold_are_written_all_the_same() -> None:
    line = encode_input(Disconnected("no such file: \udcff", None, False))
    assert decode_input(line) == Disconnected("no such file: ?", None, False)
    assert decode_action(encode_action(Close("public", "\ud800", True))) == Close("public", "?", True)
    body = Answered(1, b"\xff", "half \ud800", True, None)
    assert decode_input(encode_input(body)) == Answered(1, b"\xff", "half ?", True, None)


def test_fields_that_a_later_version_adds_are_ignored() -> None:
    assert decode_input(b'!["disconnected","why",1006,false,"later"]') == Disconnected("why", 1006, False)
    assert decode_action(b'>["close","public","why",true,false,{"later":1}]') == Close("public", "why", True)
    line = encode_head(HEAD)
    assert decode_head(line[:-1] + b',"later":[1,{"a":null}]}') == HEAD


def test_head_comes_back() -> None:
    assert decode_head(encode_head(HEAD)) == HEAD
    assert encode_head(HEAD).startswith(b"journal {")


@pytest.mark.parametrize("form", [FORMAT + 1, "1", None, -1, 0])
def test_a_format_that_is_not_known_is_refused_with_its_number(form: object) -> None:
    line = b"journal " + json.dumps({"format": form}).encode()
    with pytest.raises(FrameError, match=f"format {re.escape(str(form))}"):
        decode_head(line)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"journal",
        b"journal ",
        b"journal []",
        b"journal {}x",
        b'journal {"format":1}',
        b"journal \xff",
        b"journal " + b'{"a":' * 100_000,
        b"journal " + b"[" * 100_000,
        b"diary {}",
    ],
    ids=range(10),
)
def test_what_is_no_head_is_refused(line: bytes) -> None:
    with pytest.raises(FrameError):
        decode_head(line)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_input_or_refused(noise: bytes) -> None:
    for decode, lead in ((decode_input, b"!"), (decode_action, b">"), (decode_frame, b";")):
        try:
            decode(lead + noise)
        except FrameError as error:
            assert error.offset == 1  # noqa: PT017  # there may be none


@pytest.mark.parametrize("rest", [b"[" * 100_000, b'["unheard",1]', b'["started"] x', b'["\xff"]', b"", b"{}"])
def test_what_is_no_input_or_action_is_refused(rest: bytes) -> None:
    with pytest.raises(FrameError, match="not an input"):
        decode_input(b"!" + rest)
    with pytest.raises(FrameError, match="not an action"):
        decode_action(b">" + rest)
