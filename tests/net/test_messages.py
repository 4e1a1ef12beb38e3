from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from krakenwire.net.messages import Assembler, Refused, is_utf8


def feed(assembler: Assembler, parts: list[bytes]) -> list[bytes]:
    """Send the parts as the fragments of one message."""
    whole = []
    for i, part in enumerate(parts):
        receive = assembler.receive_text if i == 0 else assembler.receive_continuation
        message = receive(part, i == len(parts) - 1)
        if message is not None:
            whole.append(message)
    return whole


@given(text=st.text(max_size=60), cuts=st.lists(st.integers(0, 240), max_size=8))
def test_any_fragmentation_gives_the_same_message(text: str, cuts: list[int]) -> None:
    message = text.encode()
    edges = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    parts = [message[a:b] for a, b in pairwise(edges)]
    assembler = Assembler(1000)
    for _ in range(2):
        assert feed(assembler, parts) == [message]
        assert not assembler.is_open


@given(payload=st.binary(max_size=40))
def test_utf8_check_agrees_with_the_decoder(payload: bytes) -> None:
    assert is_utf8(payload) == (payload.decode(errors="replace").encode() == payload)


@given(parts=st.lists(st.binary(max_size=30).map(lambda b: b.hex().encode()), min_size=1, max_size=8))
def test_size_bound_counts_the_whole_message(parts: list[bytes]) -> None:
    total = sum(map(len, parts))
    assert feed(Assembler(max(total, 1)), parts)
    if total > 1:
        with pytest.raises(Refused) as caught:
            feed(Assembler(total - 1), parts)
        assert caught.value.code == 1009


def test_a_character_split_between_fragments_is_whole_again() -> None:
    euro = "€".encode()
    assert feed(Assembler(10), [euro[:1], euro[1:2], euro[2:]]) == [euro]


@pytest.mark.parametrize("payload", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xe2\x82", b"\xc0\xaf"])
def test_invalid_utf8_is_refused_whole_and_in_fragments(payload: bytes) -> None:
    for parts in ([payload], [b"a", payload], [payload[:1], payload[1:]]):
        with pytest.raises(Refused) as caught:
            feed(Assembler(100), parts)
        assert caught.value.code == 1007


def test_a_continuation_without_a_start_is_a_protocol_error() -> None:
    with pytest.raises(Refused) as caught:
        Assembler(100).receive_continuation(b"x", True)
    assert caught.value.code == 1002


@pytest.mark.parametrize("fin", [True, False])
def test_a_new_message_inside_a_fragmented_one_is_a_protocol_error(fin: bool) -> None:
    assembler = Assembler(100)
    assembler.receive_text(b"x", False)
    with pytest.raises(Refused) as caught:
        assembler.receive_text(b"y", fin)
    assert caught.value.code == 1002


def test_endless_empty_fragments_hold_no_memory() -> None:
    assembler = Assembler(100)
    assembler.receive_text(b"x", False)
    for _ in range(1000):
        assert assembler.receive_continuation(b"", False) is None
    assert assembler.receive_continuation(b"y", True) == b"xy"
