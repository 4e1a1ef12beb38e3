"""Whatever comes, in whatever order: the compiled book and the pure one do the same."""

from __future__ import annotations

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from helpers.frames import v1_snapshot, v1_update, v2_element, v2_frame, walk
from helpers.twins import Twins

SYMBOLS = ("BTC/USD", "ETH/USD", "XRP/USD")

# Numbers as they may be written, right and wrong.
digits = st.text("0123456789", min_size=1, max_size=30)
plain = st.builds(lambda whole, fraction: f"{int(whole)}.{fraction}", digits, digits)
small = st.builds(lambda ticks: f"{ticks // 10}.{ticks % 10}", st.integers(1, 60))
exponent = st.builds(lambda number, e, power: f"{number}{e}{power}", small, st.sampled_from("eE"), st.integers(-25, 25))
number = st.one_of(
    small,
    small,
    small,
    plain,
    exponent,
    st.integers(0, 10**20).map(str),
    small.map(lambda text: f'"{text}"'),
    st.sampled_from(
        ["0", "0.00000000", "-1", "-0.0", "01", "1.", ".5", "1e", "NaN", "null", '""', '"x"', "[]", "9" * 29]
    ),
)
key_text = st.sampled_from(
    [
        "price",
        "qty",
        "symbol",
        "bids",
        "asks",
        "checksum",
        "timestamp",
        "channel",
        "type",
        "data",
        "a",
        "as",
        "b",
        "c",
        "x",
    ]
)
key = st.one_of(
    key_text.map(json.dumps),
    key_text.map(lambda text: '"' + "".join(f"\\u{ord(char):04x}" for char in text) + '"'),
)
space = st.sampled_from(["", "", "", " ", "\n\t", "\r "])
text = st.one_of(
    st.sampled_from(["BTC/USD", "BTC\\/USD", "\\u0042TC/USD", "ETH/USD", "snapshot", "book", "book-10", "é€😀"]),
    st.sampled_from(["2026-07-19T17:54:39.614696Z", "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "\\ud83d\\ude00"]),
    st.sampled_from(["\\ud83d", "\\x", "a" * 65]),
    st.text(max_size=4).map(lambda raw: json.dumps(raw)[1:-1]),
).map(lambda raw: f'"{raw}"')


def members(*pairs: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[str]:
    """An object of some of the members, in any order, sometimes one of them twice, sometimes a strange one."""
    stranger = st.tuples(key, st.one_of(number, text, st.just("{}")))

    def write(draw: st.DrawFn) -> str:
        some = [draw(pair) for pair in pairs if draw(st.integers(0, 19))]
        if draw(st.integers(0, 5)) == 0:
            some.append(draw(stranger))
        if draw(st.integers(0, 4)) == 0:
            some = draw(st.permutations(some))
        gap = draw(space)
        return "{" + gap + f"{gap},{gap}".join(f"{name}{gap}:{gap}{value}" for name, value in some) + gap + "}"

    return st.composite(write)()


def member(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return value.map(lambda it: (f'"{name}"', it))


def array(item: st.SearchStrategy[str], size: int = 4) -> st.SearchStrategy[str]:
    return st.tuples(space, st.lists(item, max_size=size)).map(lambda it: f"[{it[0]}{f'{it[0]},'.join(it[1])}{it[0]}]")


level = members(member("price", number), member("qty", number))
side = st.one_of(array(level), array(level, 14), st.just("null"))
checksum = st.one_of(st.integers(0, 2**32).map(str), st.integers(0, 9).map(lambda value: f'"{value}"'), number)
symbol = st.sampled_from(['"BTC/USD"', '"BTC/USD"', '"BTC\\/USD"', '"ETH/USD"', '"XRP/USD"', '"é"'])
stamp = st.one_of(
    st.integers(0, 59).map(lambda second: f'"2026-07-19T17:54:{second:02}.5Z"'), st.sampled_from(['"x"', "1", '""'])
)
element = members(
    member("symbol", symbol),
    member("bids", side),
    member("asks", side),
    member("checksum", checksum),
    member("timestamp", stamp),
)
v2 = members(
    member("channel", st.sampled_from(['"book"'] * 9 + ['"trade"', "5"])),
    member("type", st.sampled_from(['"snapshot"', '"update"', '"update"', '"x"'])),
    member("data", array(element, 3)),
)
v1_level = array(st.one_of(small.map(json.dumps), number, st.sampled_from(['"1534614248.5"', '"r"'])), 5)
v1_side = st.one_of(array(v1_level), array(st.tuples(small, small).map(lambda it: f'["{it[0]}","{it[1]}","15.25"]')))
payload = members(
    member("as", v1_side), member("bs", v1_side), member("a", v1_side), member("b", v1_side), member("c", checksum)
)
usual_payload = st.one_of(
    st.tuples(v1_side, v1_side).map(lambda it: f'{{"as":{it[0]},"bs":{it[1]}}}'),
    st.tuples(v1_side, checksum).map(lambda it: f'{{"a":{it[0]},"c":{it[1]}}}'),
    payload,
)
v1 = st.tuples(
    number,
    st.lists(usual_payload, min_size=1, max_size=2),
    st.sampled_from(['"book-10"', '"book-10"', '"trade"']),
    symbol,
).map(lambda it: f"[{','.join([it[0], *it[1], it[2], it[3]])}]")


def right_frames(seed: int) -> list[bytes]:
    """A correct run of one of several markets."""
    kind = seed % 4
    symbol = SYMBOLS[seed % 2]
    frames = []
    for what, bids, asks, right, _ in walk(seed, symbol=symbol, depth=10, updates=12, levels=(10, 3, 0, 10)[kind]):
        if kind < 3:
            frames.append(v2_frame(what, v2_element(symbol, bids, asks, right)))
        elif what == "snapshot":
            frames.append(v1_snapshot(symbol, 10, bids, asks))
        else:
            frames.append(v1_update(symbol, 10, bids, asks, right))
    return frames


edit = st.tuples(
    st.integers(0, 10_000),
    st.integers(0, 6),
    st.one_of(
        st.binary(max_size=3), st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b"e"])
    ),
)


def edited(frame: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, size, instead in edits:
        place = at % (len(frame) + 1)
        frame = frame[:place] + instead + frame[place + size :]
    return frame


right = st.integers(0, 10_000).map(right_frames)
sequences = st.lists(
    st.one_of(
        right,
        st.tuples(right, st.integers(0, 12), st.lists(edit, min_size=1, max_size=3)).map(
            lambda it: [*it[0][: it[1]], edited(it[0][it[1]], it[2]), *it[0][it[1] + 1 :]]
        ),
        st.lists(st.one_of(v2, v1).map(str.encode), min_size=1, max_size=4),
        st.tuples(v2, st.lists(edit, min_size=1, max_size=2)).map(lambda it: [edited(it[0].encode(), it[1])]),
        st.binary(max_size=40).map(lambda noise: [noise, b'{"channel":"book",' + noise]),
    ),
    min_size=1,
    max_size=3,
)


@given(sequences, st.booleans(), st.sampled_from([(None, None), (1, 8), (0, 2)]))
def test_both_agree_on_any_sequence_of_frames(
    runs: list[list[bytes]], skip_unknown: bool, precision: tuple[int | None, int | None]
) -> None:
    twins = Twins(skip_unknown=skip_unknown)
    twins.add("BTC/USD", 10)
    twins.add("ETH/USD", 3)
    twins.set_precision("BTC/USD", *precision)
    for frames in runs:
        for frame in frames:
            twins.apply(frame)


@given(st.integers(0, 2**32), st.sampled_from([10, 25, 100]))
def test_both_verify_any_market(seed: int, depth: int) -> None:
    twins = Twins()
    twins.add("BTC/USD", depth)
    for kind, bids, asks, right, model in walk(seed, depth=depth, updates=25):
        twins.apply(v2_frame(kind, v2_element("BTC/USD", bids, asks, right)))
        books = twins.contents()[0]
        assert books["mismatched"] == books["crossed"] == 0
        assert len(model.best("bids")) <= depth
    assert books["verified"] == 26


@given(st.one_of(v2, v1), st.data())
def test_white_space_between_tokens_changes_nothing(frame: str, data: st.DataObject) -> None:
    assume(is_json(frame))
    spread = _respaced(frame, data.draw(st.sampled_from([" ", "\n", "\t\r "])))
    results = []
    for it in (frame, spread):
        twins = Twins()
        twins.add("BTC/USD", 10)
        result = twins.apply(it.encode())
        results.append((result if isinstance(result, int) else result[0], twins.contents()[0]))
    assert results[0] == results[1]


def is_json(frame: str) -> bool:
    try:
        json.loads(frame)
    except ValueError:
        return False
    return True


def _respaced(frame: str, gap: str) -> str:
    """`frame` with `gap` around every structural character outside its strings."""
    out, inside, escaped = [], False, False
    for char in frame:
        if inside:
            inside = escaped or char != '"'
            escaped = char == "\\" and not escaped
            out.append(char)
        else:
            inside = char == '"'
            out.append(f"{gap}{char}{gap}" if char in "{}[],:" else char)
    return "".join(out)
