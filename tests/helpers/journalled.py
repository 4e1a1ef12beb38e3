"""What a journal may be told, as hypothesis makes it."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from krakenwire.events import Stamp
from krakenwire.protocol.inputs import Answered, Input
from krakenwire.protocol.outputs import Action, Close, Fetch, Open, Send
from krakenwire.protocol.subscriptions import Key

TIMES = st.one_of(
    st.integers(0, 2_000_000_000),
    st.integers(1_700_000_000_000_000_000, 1_800_000_000_000_000_000),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
CONNECTIONS = st.one_of(st.sampled_from(["public", "public-2", "public/mirror"]), st.text(max_size=8))
TEXTS = st.text(max_size=40)
STAMPS = st.builds(Stamp, CONNECTIONS, st.one_of(st.integers(0, 3), st.integers(0, (1 << 63) - 1)), TIMES, TIMES)
FRAMES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"\n", b"{", b"[", b"{}", b":", b"{\n}", b"crc 00000000", b"block ", b"{\r\0\xff}"]),
    st.binary(max_size=30).map(lambda inner: b"{" + inner),
)
KEYS = st.builds(
    Key,
    st.sampled_from(["book", "trade", "ticker"]),
    st.one_of(st.none(), TEXTS),
    st.one_of(st.none(), st.integers(1, 1000), st.just("bbo")),
)
PARAMS = st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple)
BODIES = st.one_of(st.none(), st.binary(max_size=60), TEXTS.map(str.encode))
ANSWERS = st.builds(
    Answered,
    st.integers(0, (1 << 62)),
    BODIES,
    st.one_of(st.none(), TEXTS),
    st.booleans(),
    st.one_of(st.none(), st.floats(0, 1e9)),
)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of the type of a field."""
    if get_origin(kind) is tuple:
        return st.lists(_values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*map(_values, get_args(kind)))
    return {str: TEXTS, int: st.integers(0, 1 << 62), bool: st.booleans(), type(None): st.none(), Key: KEYS}[kind]


def _fields(kind: type[Input]) -> dict[str, st.SearchStrategy[Any]]:
    """For each field of an input, whatever inputs there come to be."""
    return {
        field.name: PARAMS if field.name == "params" else _values(field.type) for field in msgspec.structs.fields(kind)
    }


INPUTS: st.SearchStrategy[Input] = st.one_of(
    ANSWERS,
    *(st.builds(kind, **_fields(kind)) for kind in get_args(Input) if kind is not Answered),
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(Open, TEXTS),
    st.builds(Send, TEXTS, TEXTS.map(str.encode)),
    st.builds(Close, TEXTS, TEXTS, st.booleans(), st.booleans()),
    st.builds(Fetch, st.integers(0, 1 << 62), TEXTS, PARAMS),
)
