"""Frames as the suite reads them: every digit kept, nothing assumed of their shape."""

from __future__ import annotations

from decimal import Decimal

import pytest

from krakenwire.conform.shape import expect_shape
from krakenwire.conform.verdict import Broken
from krakenwire.conform.web import Reply
from krakenwire.conform.wire import Frame, Item, Malformed, Number, decode, encode, parse_time, shorten


def test_numbers_keep_their_text_and_differ_from_strings() -> None:
    decoded = decode(b'{"a":62807.0,"b":1e-05,"c":"62807.0","d":-7}')
    assert decoded == {"a": "62807.0", "b": "1e-05", "c": "62807.0", "d": "-7"}
    assert [type(value) for value in decoded.values()] == [Number, Number, str, Number]


@pytest.mark.parametrize("text", [b"{", b"nothing", b'{"a":NaN}', b"[" * 100_000, b"\xff"])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode(text)
    frame = Frame(text, 0)
    assert (frame.message, frame.fields, frame.data, frame.is_answer) == (None, {}, [], False)


def test_decimals_go_out_as_numbers_without_an_exponent() -> None:
    assert encode({"qty": Decimal("1E-8"), "all": [True, None, 7, "x"], "as it came": Number("1e-05")}) == (
        b'{"qty":0.00000001,"all":[true,null,7,"x"],"as it came":1e-05}'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", (1_000_000_000, 0)),
        ("2026-08-16T23:37:04.334090Z", (1786923424_334090000, 6)),
        ("2023-10-04T16:25:00.000000001Z", (1696436700_000000001, 9)),
        ("2024-02-29T00:00:00Z", (1709164800_000000000, 0)),
    ],
)
def test_time_is_read_to_the_nanosecond(text: str, expected: tuple[int, int]) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-16T23:37:04+00:00",
        "2026-08-16 23:37:04Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.1234567890Z",
        "",
    ],
)
def test_other_times_are_none(text: str) -> None:
    assert parse_time(text) is None


def test_long_frame_is_shortened_and_says_how_long_it_was() -> None:
    assert shorten("x" * 300) == "x" * 300
    assert shorten(b"x" * 301).endswith("x… (301 characters)")


def test_reply_with_a_token_is_shown_without_it() -> None:
    reply = Reply(200, b'{"error":[],"result":{"token": "TOP/secret","expires":900}}', 0)
    assert "secret" not in reply.shortened
    assert "expires" in reply.shortened


@pytest.mark.parametrize(
    ("field", "kind", "value"),
    [
        ("n", "number", '"1.0"'),
        ("n", "integer", "1.0"),
        ("n", "integer", "true"),
        ("n", "text", "1"),
        ("n", "bool", '"true"'),
        ("n", "time", '"yesterday"'),
        ("n", "object", "[]"),
        ("n", "list", "{}"),
        ("n", "buy|sell", '"hold"'),
        ("m", "number", "1.0"),
    ],
)
def test_field_of_another_type_or_none_breaks_a_shape(field: str, kind: str, value: str) -> None:
    frame = Frame(f'{{"n":{value}}}'.encode(), 0)
    with pytest.raises(Broken) as caught:
        expect_shape(frame.item, {field: kind})
    assert f"`{field}`" in caught.value.expected
    assert caught.value.frame == frame.text.decode()


def test_shape_that_fits_is_no_error_and_further_fields_are_allowed() -> None:
    frame = Frame(b'{"a":1.0,"b":2,"c":"x","d":true,"e":"2026-01-01T00:00:00Z","f":{},"g":[],"h":"buy","i":0}', 0)
    kinds = ("number", "integer", "text", "bool", "time", "object", "list", "buy|sell")
    expect_shape(frame.item, dict(zip("abcdefgh", kinds, strict=True)) | {"z?": "number"})


@pytest.mark.parametrize("reader", ["token", "number", "integer", "text", "time_ns"])
def test_reader_of_a_field_that_is_absent_or_of_another_type_is_refused(reader: str) -> None:
    item = Item(decode(b'{"a":{}}'), Frame(b"", 0))
    for name in ("a", "b"):
        with pytest.raises(Malformed):
            getattr(item, reader)(name)
