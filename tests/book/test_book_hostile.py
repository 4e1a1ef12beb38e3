"""Frames that are odd but right, and frames that are wrong: what the scanner makes of them, to the byte."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from helpers.frames import v2_element, v2_frame
from krakenwire.book import reasons
from krakenwire.errors import FrameError

# One bid and one ask, written `1.50 x 2.0` and `3 x 4.25`.
CHECKSUM = zlib.crc32(b"3425" + b"15020")
BID, ASK = '{"price":1.50,"qty":2.0}', '{"price":3,"qty":4.25}'
ELEMENT = f'{{"symbol":"BTC/USD","bids":[{BID}],"asks":[{ASK}],"checksum":{CHECKSUM}}}'
FRAME = f'{{"channel":"book","type":"snapshot","data":[{ELEMENT}]}}'
V1_CHECKSUM = f'"c":"{CHECKSUM}"'


def books_of(impl: Any) -> Any:
    books = impl.Books()
    books.add("BTC/USD", 10)
    return books


def element(text: str) -> str:
    """A frame of one element whose members are `text`."""
    return f'{{"channel":"book","type":"snapshot","data":[{{{text}}}]}}'


def bid(text: str) -> str:
    """A frame whose first bid is `text`."""
    return element(f'"symbol":"BTC/USD","bids":[{text}],"asks":[],"checksum":0')


ODD_BUT_RIGHT = {
    "as Kraken writes it": FRAME,
    "spaces everywhere": FRAME.replace(",", " ,\n").replace(":", "\t: ").replace("{", " { ").replace("]", "\r\n] "),
    "channel last": f'{{"data":[{ELEMENT}],"type":"snapshot","channel":"book"}}',
    "unknown keys": f'{{"a":{{"b":[1,null]}},"channel":"book","type":"snapshot","seq":7,"data":[{ELEMENT}],"z":1}}',
    "keys of an element in another order": element(
        f'"checksum":{CHECKSUM},"asks":[{ASK}],"x":[[],{{}}],"symbol":"BTC/USD","bids":[{BID}]'
    ),
    "keys of a level in another order": FRAME.replace(BID, '{"x":"y","qty":2.0,"z":{},"price":1.50}'),
    "numbers as strings": FRAME.replace("1.50", '"1.50"').replace("4.25", '"4.25"'),
    "checksum as a string": FRAME.replace(str(CHECKSUM), f'"{CHECKSUM}"'),
    "exponents": FRAME.replace("1.50", "150e-2").replace("4.25", "0.0425E+2").replace("2.0", "20e-1"),
    "exponent with zeros before it": FRAME.replace("1.50", "150e-00000000000000000000000000002"),
    "escaped solidus in the symbol": FRAME.replace("BTC/USD", "BTC\\/USD"),
    "escaped letters in the symbol": FRAME.replace("BTC/USD", "\\u0042TC\\u002FUS\\u0044"),
    "escaped letters in keys": FRAME.replace('"price"', '"\\u0070rice"').replace('"channel"', '"chann\\u0065l"'),
    "escaped letters in words": FRAME.replace('"book"', '"\\u0062ook"').replace('"snapshot"', '"snap\\u0073hot"'),
    "known keys within unknown ones": FRAME.replace('"type"', '"x":{"channel":1,"type":2,"data":3},"type"'),
    "known keys twice within unknown ones": FRAME.replace('"type"', '"x":{"data":1,"data":2},"type"'),
    "unknown keys twice": FRAME.replace('"type"', '"x":1,"x":2,"type"'),
    "strings with everything in them": FRAME.replace(
        '"type"', '"x":"\\"\\\\\\b\\f\\n\\r\\t é€😀\\ud83d\\ude00","type"'
    ),
    "64 levels of nesting": FRAME.replace('"type"', f'"x":{"[" * 63}{"]" * 63},"type"'),
    "no bids": element(f'"symbol":"BTC/USD","asks":[{ASK}],"checksum":{zlib.crc32(b"3425")}'),
    "neither side": element('"symbol":"BTC/USD","checksum":0'),
    "price repeated": FRAME.replace(BID, f'{{"price":1.5,"qty":9}},{BID}'),
    "v1": f'[1,{{"as":[["3","4.25","1.5"]],"bs":[["1.50","2.0","1.5","r"]],{V1_CHECKSUM}}},"book-10","BTC/USD"]',
    "v1 with numbers": f'[-1,{{"as":[[3,4.25,1]],"bs":[[1.50,2.0,1,"r",5]],"c":{CHECKSUM}}},"book-10","BTC/USD"]',
    "v1 with spaces and unknown keys": f' [ 1 , {{ "x" : 1 , "as" : [ [ "3" , "4.25" , "1.5" ] ] }} , {{ "bs" : '
    f'[["1.50","2.0","1.5"]] , {V1_CHECKSUM} }} , "book-10" , "BTC/USD" ] ',
    "v1 with three objects": f'[1,{{"as":[["3","4.25","1.5"]]}},{{"bs":[["1.50","2.0","1.5"]]}},{{{V1_CHECKSUM}}},'
    '"book-10","BTC/USD"]',
    "v1 with escapes": f'[1,{{"\\u0061s":[["3","4.25","1.5"]],"bs":[["1.50","2.0","1.5"]],{V1_CHECKSUM}}},'
    '"b\\u006fok-10","BTC\\/USD"]',
}


@pytest.mark.parametrize("frame", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_frame_that_is_odd_but_right_is_verified(impl: Any, frame: str) -> None:
    books = books_of(impl)
    out: list[Any] = []
    assert books.apply(frame.encode(), out) == impl.NOTABLE
    assert [event.outcome for event in out] == ["verified"]


NO_BOOK = {
    "nothing": "",
    "spaces": " \n",
    "garbage": "hello",
    "a number": "5",
    "a string": '"book"',
    "another channel": '{"channel":"trade","type":"update","data":[]}',
    "channel is no string": '{"channel":5,"type":"update","data":[]}',
    "no channel": '{"type":"snapshot","data":[]}',
    "channel within another object": '{"x":{"channel":"book"},"data":[]}',
    "broken before its channel": '{"type":"snapshot","data":[}],"channel":"book"}',
    "broken within its channel": '{"channel":"boo',
    "an answer": '{"method":"subscribe","result":{"channel":"book"},"success":true}',
    "another channel twice": '{"channel":"trade","channel":"ticker"}',
    "empty object": "{}",
    "empty array": "[]",
    "v1 trade": '[0,[["5541.2","0.1","1534614057.3","s","l",""]],"trade","XBT/USD"]',
    "v1 event": '{"event":"heartbeat"}',
    "v1 broken before its channel": '[1,{"a":[["1","2","3"]},"book-10","XBT/USD"]',
    "v1 name without a number": '[1,{},"book-","XBT/USD"]',
    "v1 name with a word": '[1,{},"book-x","XBT/USD"]',
    "v1 name with a very long number": '[1,{},"book-1234567890","XBT/USD"]',
    "byte order mark": "\ufeff" + FRAME,
    "NUL": "\0",
    "nesting without end": "[" * 100_000,
}


@pytest.mark.parametrize("frame", NO_BOOK.values(), ids=NO_BOOK)
def test_frame_that_is_no_book_is_left_to_others(impl: Any, frame: str) -> None:
    out: list[Any] = []
    assert books_of(impl).apply(frame.encode(), out) == impl.NOT_BOOK
    assert out == []


AT = "§"
"""Marks the byte at which a frame breaks."""

WRONG = {
    # broken JSON
    "cut in a key": ('{"channel":"book","ty§', reasons.END),
    "cut behind the channel": ('{"channel":"book"§', reasons.END),
    "cut in a number": (FRAME[: FRAME.index("1.50") + 2] + AT, reasons.END),
    "cut before the last brace": (FRAME[:-1] + AT, reasons.END),
    "garbage behind": (FRAME + " §x", reasons.GARBAGE),
    "NUL behind": (FRAME + "§\0", reasons.GARBAGE),
    "second frame behind": (FRAME + AT + FRAME, reasons.GARBAGE),
    "NaN": (bid('{"price":§NaN,"qty":1}'), reasons.VALUE),
    "Infinity": (bid('{"price":1,"qty":§Infinity}'), reasons.VALUE),
    "-Infinity": (bid('{"price":1,"qty":-§Infinity}'), reasons.NUMBER),
    "lone minus": (bid('{"price":-§,"qty":1}'), reasons.NUMBER),
    "plus": (bid('{"price":§+1,"qty":1}'), reasons.VALUE),
    "leading zero": (bid('{"price":0§1,"qty":1}'), reasons.NUMBER),
    "point without digits": (bid('{"price":1.§,"qty":1}'), reasons.NUMBER),
    "no digit before the point": (bid('{"price":§.5,"qty":1}'), reasons.VALUE),
    "exponent without digits": (bid('{"price":1e§,"qty":1}'), reasons.NUMBER),
    "exponent with a sign only": (bid('{"price":1e+§,"qty":1}'), reasons.NUMBER),
    "letters behind a number": (bid('{"price":1§x,"qty":1}'), reasons.NEXT_MEMBER),
    "literal cut": (bid('{"x":§nul}'), reasons.VALUE),
    "single quotes": (FRAME.replace('"type"', "§'type'"), reasons.KEY),
    "comma too many in an object": (bid('{"price":1,"qty":1,§}'), reasons.KEY),
    "comma too many in an array": (bid('{"price":1,"qty":1},§'), reasons.VALUE),
    "comma missing in an object": (bid('{"price":1 §"qty":1}'), reasons.NEXT_MEMBER),
    "comma missing in an array": (bid('{"price":1,"qty":1} §{}'), reasons.NEXT_ELEMENT),
    "colon missing": (bid('{"price" §1,"qty":1}'), reasons.COLON),
    "control character in a string": (FRAME.replace('"type"', '"x§\n":1,"type"'), reasons.CONTROL),
    "NUL in a string": (FRAME.replace('"type"', '"§\0":1,"type"'), reasons.CONTROL),
    "unknown escape": (FRAME.replace('"type"', '"§\\x41":1,"type"'), reasons.ESCAPE),
    "escape of too few digits": (FRAME.replace('"type"', '"§\\u12":1,"type"'), reasons.ESCAPE),
    "escape at the end": ('{"channel":"book","x\\§', reasons.END),
    "high surrogate alone": (FRAME.replace('"type"', '"§\\ud83dx":1,"type"'), reasons.SURROGATE),
    "low surrogate alone": (FRAME.replace('"type"', '"§\\ude00":1,"type"'), reasons.SURROGATE),
    "high surrogate before another character": (
        FRAME.replace('"type"', '"§\\ud83d\\u0041":1,"type"'),
        reasons.SURROGATE,
    ),
    "high surrogate before a broken escape": (FRAME.replace('"type"', '"\\ud83d§\\u00":1,"type"'), reasons.ESCAPE),
    "65 levels of nesting": (FRAME.replace('"type"', f'"x":{"[" * 63}§[],"type"'), reasons.NESTING),
    "65 objects of nesting": (FRAME.replace('"type"', '"x":' + '{"a":' * 63 + '§{},"type"'), reasons.NESTING),
    # JSON, but no book message
    "no type": ('§{"channel":"book","data":[]}', reasons.missing("type")),
    "no data": (' §{"channel":"book","type":"update"}', reasons.missing("data")),
    "channel twice": ('{"channel":"book","type":"update","data":[],§"channel":"book"}', reasons.duplicate("channel")),
    "another channel first": ('{"channel":"trade",§"channel":"book"}', reasons.duplicate("channel")),
    "data twice": ('{"channel":"book","data":[],§"data":[],"type":"update"}', reasons.duplicate("data")),
    "type is no string": ('{"channel":"book","type":§5,"data":[]}', reasons.WANT_STRING),
    "type is another": ('{"channel":"book","type":§"updates","data":[]}', reasons.TYPE),
    "data is no array": ('{"channel":"book","type":"update","data":§{}}', reasons.WANT_ARRAY),
    "element is no object": ('{"channel":"book","type":"update","data":[§[]]}', reasons.WANT_OBJECT),
    "no symbol": ('{"channel":"book","type":"update","data":[§{"checksum":1}]}', reasons.missing("symbol")),
    "no checksum": (
        '{"channel":"book","type":"update","data":[§{"symbol":"BTC/USD"}]}',
        reasons.missing("checksum"),
    ),
    "empty element": ('{"channel":"book","type":"update","data":[§{}]}', reasons.missing("symbol")),
    "symbol is no string": (element('"symbol":§null,"checksum":1'), reasons.WANT_STRING),
    "symbol too long": (element(f'"symbol":§"{"é" * 33}","checksum":1'), reasons.SYMBOL),
    "symbol twice": (element('"symbol":"a",§"symbol":"a","checksum":1'), reasons.duplicate("symbol")),
    "bids twice": (element('"symbol":"a","bids":[],§"bids":[],"checksum":1'), reasons.duplicate("bids")),
    "bids twice, once escaped": (
        element('"symbol":"a","bids":[],§"bid\\u0073":[],"checksum":1'),
        reasons.duplicate("bids"),
    ),
    "bids is no array": (element('"symbol":"a","bids":§null,"checksum":1'), reasons.WANT_ARRAY),
    "level is no object": (bid("§1"), reasons.WANT_OBJECT),
    "level is empty": (bid("§{}"), reasons.missing("price")),
    "level without a price": (bid('§{"qty":1}'), reasons.missing("price")),
    "level without a quantity": (bid('§{"price":1}'), reasons.missing("qty")),
    "price twice": (bid('{"price":1,"qty":1,§"price":1}'), reasons.duplicate("price")),
    "price is null": (bid('{"price":§null,"qty":1}'), reasons.WANT_NUMBER),
    "price is an empty string": (bid('{"price":§"","qty":1}'), reasons.WANT_NUMBER),
    "price is a word": (bid('{"price":§"one","qty":1}'), reasons.WANT_NUMBER),
    "price is a string with a space": (bid('{"price":§" 1","qty":1}'), reasons.WANT_NUMBER),
    "price is a string with an escape": (bid('{"price":§"\\u0031","qty":1}'), reasons.WANT_NUMBER),
    "price is a string with a leading zero": (bid('{"price":§"01","qty":1}'), reasons.WANT_NUMBER),
    "price is zero": (bid('{"price":§0.0,"qty":1}'), reasons.POSITIVE),
    "price is zero with an exponent": (bid('{"price":§0e5,"qty":1}'), reasons.POSITIVE),
    "price is negative": (bid('{"price":§-1,"qty":1}'), reasons.POSITIVE),
    "qty is negative": (bid('{"price":1,"qty":§-1}'), reasons.SIGN),
    "qty is minus zero": (bid('{"price":1,"qty":§-0.0}'), reasons.SIGN),
    "20 digits before the point": (bid(f'{{"price":§{"9" * 20},"qty":1}}'), reasons.RANGE),
    "19 decimals": (bid(f'{{"price":§0.{"0" * 18}1,"qty":1}}'), reasons.RANGE),
    "19 decimals of nothing": (bid(f'{{"price":1,"qty":§0.{"0" * 19}}}'), reasons.RANGE),
    "29 digits": (bid('{"price":§12345678901.123456789012345678,"qty":1}'), reasons.RANGE),
    "20 digits by an exponent": (bid('{"price":§1e19,"qty":1}'), reasons.RANGE),
    "19 decimals by an exponent": (bid('{"price":§1e-19,"qty":1}'), reasons.RANGE),
    "exponent of 100": (bid('{"price":1,"qty":§0e100}'), reasons.RANGE),
    "exponent of a thousand digits": (bid(f'{{"price":§1e{"9" * 5000},"qty":1}}'), reasons.RANGE),
    "number of a thousand digits": (bid(f'{{"price":1,"qty":§1{"0" * 5000}}}'), reasons.RANGE),
    "checksum is negative": (element('"symbol":"a","checksum":§-1'), reasons.WANT_CHECKSUM),
    "checksum is beyond 32 bits": (element('"symbol":"a","checksum":§4294967296'), reasons.WANT_CHECKSUM),
    "checksum of eleven digits": (element('"symbol":"a","checksum":§12345678901'), reasons.WANT_CHECKSUM),
    "checksum with a point": (element('"symbol":"a","checksum":§1.0'), reasons.WANT_CHECKSUM),
    "checksum with an exponent": (element('"symbol":"a","checksum":§1e3'), reasons.WANT_CHECKSUM),
    "checksum is null": (element('"symbol":"a","checksum":§null'), reasons.WANT_CHECKSUM),
    "checksum is an empty string": (element('"symbol":"a","checksum":§""'), reasons.WANT_CHECKSUM),
    "checksum is a string with a leading zero": (element('"symbol":"a","checksum":§"01"'), reasons.WANT_CHECKSUM),
    "timestamp is a number": (element('"symbol":"a","checksum":1,"timestamp":§1'), reasons.TIMESTAMP),
    "timestamp is null": (element('"symbol":"a","checksum":1,"timestamp":§null'), reasons.TIMESTAMP),
    "timestamp has a zone": (
        element('"symbol":"a","checksum":1,"timestamp":§"2026-07-19T17:54:39+00:00"'),
        reasons.TIMESTAMP,
    ),
    "timestamp of no day": (
        element('"symbol":"a","checksum":1,"timestamp":§"2026-02-29T17:54:39Z"'),
        reasons.TIMESTAMP,
    ),
    "canonical, but the time is wrong": (
        FRAME[:-3] + ',"timestamp":§"2026-13-01T00:00:00.000000Z"}]}',
        reasons.TIMESTAMP,
    ),
    "canonical, but the time is empty": (FRAME[:-3] + ',"timestamp":§""}]}', reasons.TIMESTAMP),
    "canonical, but the time is of NULs": (FRAME[:-3] + ',"timestamp":"§' + "\0" * 20 + '"}]}', reasons.CONTROL),
    # v1
    "v1 too short": ('§["book-10","XBT/USD"]', reasons.V1_SHAPE),
    "v1 without a payload": ('§[1,"book-10","XBT/USD"]', reasons.V1_SHAPE),
    "v1 name elsewhere": ('§["book-10",{},"trade","XBT/USD"]', reasons.V1_SHAPE),
    "v1 broken behind its name": ('[1,{},"book-10","XBT/USD"§', reasons.END),
    "v1 garbage behind": ('[1,{},"book-10","XBT/USD"]§]', reasons.GARBAGE),
    "v1 id is no number": ('[§"1",{},"book-10","XBT/USD"]', reasons.WANT_NUMBER),
    "v1 payload is no object": ('[1,§[],"book-10","XBT/USD"]', reasons.WANT_OBJECT),
    "v1 pair is no string": ('[1,{},"book-10",§5]', reasons.WANT_STRING),
    "v1 side is no array": ('[1,{"a":§{}},"book-10","XBT/USD"]', reasons.WANT_ARRAY),
    "v1 level is no array": ('[1,{"a":[§{}]},"book-10","XBT/USD"]', reasons.WANT_ARRAY),
    "v1 level is empty": ('[1,{"a":[§[]]},"book-10","XBT/USD"]', reasons.V1_LEVEL),
    "v1 level without a time": ('[1,{"a":[§["1","2"]]},"book-10","XBT/USD"]', reasons.V1_LEVEL),
    "v1 price is zero": ('[1,{"a":[[§"0.0","2","3"]]},"book-10","XBT/USD"]', reasons.POSITIVE),
    "v1 qty is negative": ('[1,{"a":[["1",§"-2","3"]]},"book-10","XBT/USD"]', reasons.SIGN),
    "v1 time is no number": ('[1,{"a":[["1","2",§"x"]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time is null": ('[1,{"a":[["1","2",§null]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time is negative": ('[1,{"a":[["1","2",§-3]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time of ten decimals": ('[1,{"a":[["1","2",§"3.0123456789"]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time ends in a point": ('[1,{"a":[["1","2",§"3."]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time with a leading zero": ('[1,{"a":[["1","2",§"03"]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time is empty": ('[1,{"a":[["1","2",§""]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time too far": ('[1,{"a":[["1","2",§"9223372036"]]},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 time of a thousand digits": (f'[1,{{"a":[["1","2",§"{"9" * 5000}"]]}},"book-10","XBT/USD"]', reasons.SECONDS),
    "v1 side twice": ('[1,{"a":[]},{§"a":[]},"book-10","XBT/USD"]', reasons.duplicate("a")),
    "v1 checksum twice": ('[1,{"a":[],"c":"1"},{"b":[],§"c":"1"},"book-10","XBT/USD"]', reasons.duplicate("c")),
    "v1 snapshot and update": ('§[1,{"as":[]},{"b":[]},"book-10","XBT/USD"]', reasons.MIXED),
    "v1 checksum is no number": ('[1,{"a":[],"c":§"x"},"book-10","XBT/USD"]', reasons.WANT_CHECKSUM),
}


@pytest.mark.parametrize(("frame", "reason"), WRONG.values(), ids=WRONG)
def test_frame_that_is_wrong_changes_nothing_and_says_where_it_broke(impl: Any, frame: str, reason: str) -> None:
    offset = len(frame[: frame.index(AT)].encode())
    books = books_of(impl)
    out: list[Any] = []
    books.apply(FRAME.encode(), out)
    state = books.get("BTC/USD")
    before = (state.levels("bids"), state.levels("asks"), state.status, state.checksum, books.verified, books.unknown)
    with pytest.raises(FrameError) as caught:
        books.apply(frame.replace(AT, "").encode(), out)
    assert (caught.value.reason, caught.value.offset) == (reason, offset)
    assert str(caught.value) == f"{reason} at byte {offset}"
    assert before == (
        *(state.levels("bids"), state.levels("asks"), state.status, state.checksum, books.verified, books.unknown),
    )
    assert len(out) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(b"\xff", b"\x80", b"\xc3", b"\xc3\x28", b"\xc0\x80", b"\xe0\x80\x80", b"\xe2\x82", b"\xed\xa0\x80"),
        *(b"\xef\xbf", b"\xf0\x80\x80\x80", b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80"),
    ],
    ids=bytes.hex,
)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_invalid_utf8_is_found_where_it_begins(impl: Any, text: bytes, cut: bool) -> None:
    head = b'{"channel":"book","x":"\xc3\xa9' + "€😀".encode()
    with pytest.raises(FrameError) as caught:
        books_of(impl).apply(head + text + (b"" if cut else b'"}'), [])
    assert (caught.value.reason, caught.value.offset) == (reasons.UTF8, len(head))


def test_frame_cut_anywhere_is_refused_or_no_book(impl: Any) -> None:
    books = books_of(impl)
    out: list[Any] = []
    whole = (FRAME[:-3] + ',"timestamp":"2026-07-19T17:54:39.614696Z"}]}').encode()
    seen = whole.index(b'"book"') + len('"book"')
    for size in range(len(whole)):
        if size < seen:
            assert books.apply(whole[:size], out) == impl.NOT_BOOK
        else:
            with pytest.raises(FrameError) as caught:
                books.apply(whole[:size], out)
            assert (caught.value.reason, caught.value.offset) == (reasons.END, size)
    assert out == []


def test_good_element_before_a_bad_one_is_not_applied(impl: Any) -> None:
    books = books_of(impl)
    out: list[Any] = []
    with pytest.raises(FrameError, match="price must be positive"):
        books.apply(v2_frame("snapshot", ELEMENT, v2_element("BTC/USD", [("0", "1")])), out)
    assert (books.get("BTC/USD").status, books.verified, out) == ("empty", 0, [])


def test_numbers_at_the_limits_are_taken_exactly(impl: Any) -> None:
    texts = [
        *("9999999999999999999", "0.000000000000000001", "1234567890123456789.123456789", "1e18", "1e-18"),
        *("12345678901234567890123e-10", "0.1e19", "1000000000000000000000000000e-18"),
    ]
    for text in texts:
        books = books_of(impl)
        out: list[Any] = []
        books.apply(v2_frame("snapshot", v2_element("BTC/USD", [(text, text)])), out)
        level = out[0].bids[0]
        assert level.price == level.qty == level.price.__class__(text)


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", "0e0", "0e99", "0.0e-17", '"0"'])
def test_zero_in_any_form_deletes(impl: Any, zero: str) -> None:
    books = books_of(impl)
    out: list[Any] = []
    books.apply(FRAME.encode(), out)
    frame = v2_frame("update", v2_element("BTC/USD", [("1.5", zero)], [], zlib.crc32(b"3425")))
    assert books.apply(frame, out) == impl.QUIET
    assert books.get("BTC/USD").count("bids") == 0
