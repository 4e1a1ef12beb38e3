"""Blocks: what goes in comes out, both twins alike, and nothing that is damaged is taken for whole."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.blocktwins import TwinWriter, close, read
from helpers.journalled import ACTIONS, FRAMES, INPUTS, STAMPS
from krakenwire.errors import FrameError
from krakenwire.events import Stamp
from krakenwire.journal.format import Block, Entry, blocks, pure
from krakenwire.journal.format.lines import encode_action, encode_input

Step = tuple[str, bytes, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), FRAMES, st.integers(0, 5)),
        st.tuples(st.just("timed"), INPUTS.map(encode_input), st.integers(0, 5)),
        st.tuples(st.just("untimed"), INPUTS.map(lambda given: encode_input(given, is_timed=False)), st.just(0)),
        st.tuples(st.just("action"), ACTIONS.map(encode_action), st.just(0)),
        st.tuples(st.just("note"), st.sampled_from([b'digest [1,"00"]', b"Later {}", b"z"]), st.just(0)),
        st.tuples(st.just("take"), st.just(b""), st.just(0)),
    ),
    max_size=40,
)
STAMP = Stamp("public", 0, 1_790_000_000_000_000_000, 5_000_000_000)
IMPLEMENTATIONS = pytest.mark.parametrize("impl", [blocks, pure], ids=["compiled", "pure"])


def write(steps: list[Step], stamps: list[Stamp], n: int) -> tuple[list[bytes], list[list[Entry]]]:
    """Blocks, and what is in each."""
    writer = TwinWriter(n)
    texts: list[bytes] = []
    wanted: list[list[Entry]] = [[]]
    for what, content, which in [*steps, ("take", b"", 0)]:
        stamp = stamps[which % len(stamps)]
        if what == "take":
            if text := writer.take():
                texts.append(close(text))
                wanted.append([])
            assert writer.size == 0
        elif what == "frame":
            writer.frame(content, stamp)
            wanted[-1].append(Entry("frame", content, stamp))
        elif what == "timed":
            writer.line(content, stamp)
            wanted[-1].append(Entry("input", content, stamp))
        elif what == "untimed":
            writer.line(content, None)
            wanted[-1].append(Entry("input", content, None))
        else:
            writer.line(content, None, is_input=False)
            wanted[-1].append(Entry("action" if what == "action" else "note", content, None))
    return texts, wanted[:-1]


@given(STEPS, st.lists(STAMPS, min_size=1, max_size=6), st.integers(0, 1 << 60))
def test_what_was_written_is_read(steps: list[Step], stamps: list[Stamp], n: int) -> None:
    texts, wanted = write(steps, stamps, n)
    for text, entries in zip(texts, wanted, strict=True):
        block = read(text)
        assert isinstance(block, Block)
        assert block.entries == entries
        assert block.n == n
        n += sum(entry.kind in ("frame", "input") for entry in entries)
        assert block.last_n == n
        timed = [entry.stamp for entry in entries if entry.stamp is not None]
        if timed:
            assert (block.received_ns, block.received_mono_ns) == (timed[0].received_ns, timed[0].received_mono_ns)


@given(st.integers(1, 800))
def test_more_places_than_letters(count: int) -> None:
    stamps = [Stamp(f"public-{i // 2}", i % 2, 10 * i, 10 * i) for i in range(count)]
    writer = TwinWriter()
    for stamp in [*stamps, *reversed(stamps)]:
        writer.frame(b"{}", stamp)
    block = read(close(writer.take()))
    assert isinstance(block, Block)
    assert [entry.stamp for entry in block.entries] == [*stamps, *reversed(stamps)]


@IMPLEMENTATIONS
def test_text_is_what_the_documentation_says(impl: Any) -> None:
    writer = impl.BlockWriter(41)
    later = Stamp("public-2", 3, STAMP.received_ns + 51_183, STAMP.received_mono_ns + 51_200)
    for frame in (b'{"a":1}', b"[2]", b"odd", b"two\nlines"):
        writer.frame(frame, STAMP)
    writer.frame(b"{}", later)
    writer.line(b'!["deadline"]', Stamp("", 0, STAMP.received_ns + 51_183 - 7, later.received_mono_ns - 7))
    writer.line(b'=["started"]', None)
    writer.line(b'>["open","public"]', None, is_input=False)
    assert writer.n == 48
    assert impl.close_block(writer.take()) == (
        b'block [41,1790000000000000000,5000000000,[["public",0],["public-2",3],["",0]]]\n'
        b"at a0*4 b51200-17 c-7\n"
        b'{"a":1}\n[2]\n:odd\n;dHdvCmxpbmVz\n{}\n!["deadline"]\n=["started"]\n>["open","public"]\ncrc 2f4b44fd\n'
    )
    writer.line(b'=["started"]', None)
    assert writer.take() == b'block [48,1790000000000051176,5000051193,[]]\nat \n=["started"]\n'
    assert writer.take() == b""


@IMPLEMENTATIONS
def test_frames_of_one_read_share_one_stamp_and_a_connection_is_a_run(impl: Any) -> None:
    writer = impl.BlockWriter()
    other, again = Stamp("public-2", 0, 2, 2), Stamp("public", 1, 3, 3)
    for stamp in (STAMP, STAMP, again, other, other, STAMP):
        writer.frame(b"{}", stamp)
    block = impl.read_block(impl.close_block(writer.take()))
    assert [(run.connection, len(run.frames)) for run in block.runs] == [("public", 3), ("public-2", 2), ("public", 1)]
    stamps = block.runs[0].stamps
    assert stamps[0] is stamps[1]
    assert stamps == [STAMP, STAMP, again]


def test_times_that_no_64_bits_hold_are_refused_by_both_and_leave_nothing() -> None:
    for bad in (Stamp("public", 0, 1 << 63, 0), Stamp("public", 0, 0, -(1 << 63) - 1), Stamp("public", 1 << 63, 0, 0)):
        for writer in (blocks.BlockWriter(), pure.BlockWriter()):
            with pytest.raises(OverflowError, match="a time beyond 64 bits"):
                writer.frame(b"{}", bad)
            with pytest.raises(OverflowError, match="a time beyond 64 bits"):
                writer.line(b'!["deadline"]', bad)
            assert (writer.n, writer.size, writer.take()) == (0, 0, b"")


def block_of(steps: list[Step], stamps: list[Stamp]) -> bytes:
    return (write([("frame", b"{}", 0), *(step for step in steps if step[0] != "take")], stamps, 3))[0][0]


@given(STEPS, st.lists(STAMPS, min_size=1, max_size=6), st.data())
def test_any_byte_that_changed_is_found(steps: list[Step], stamps: list[Stamp], data: st.DataObject) -> None:
    text = bytearray(block_of(steps, stamps))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    assert isinstance(read(bytes(text)), FrameError)


@given(STEPS, st.lists(STAMPS, min_size=1, max_size=6), st.data())
def test_any_cut_is_found(steps: list[Step], stamps: list[Stamp], data: st.DataObject) -> None:
    text = block_of(steps, stamps)
    assert isinstance(read(text[: data.draw(st.integers(0, len(text) - 1))]), FrameError)
    assert isinstance(read(text + data.draw(st.binary(min_size=1, max_size=20))), FrameError)


@given(STEPS, st.lists(STAMPS, min_size=1, max_size=6), st.data())
def test_any_damage_behind_a_right_checksum_is_read_alike(
    steps: list[Step], stamps: list[Stamp], data: st.DataObject
) -> None:
    text = bytearray(block_of(steps, stamps)[:-13])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.sampled_from([0, 0, 1, 3]))
        text[at : at + cut] = data.draw(
            st.one_of(
                st.sampled_from([b" ", b"\n", b"*", b"a", b"-", b"+", b"0", b"9" * 19, b"9" * 21, b"at ", b"!", b";"]),
                st.binary(max_size=3),
            )
        )
    read(close(bytes(text)))


HEAD = b'block [0,0,0,[["public",0]]]\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"", "a block without its end at byte 13"),
        (b"\n", "begin with 'block ' at byte 0"),
        (b"blocks\n", "begin with 'block ' at byte 0"),
        (b"block x\nat \n", "the first line of a block: JSON is malformed"),
        (b"block \xff\nat \n", "the first line of a block: "),
        (b"block " + b"[" * 100_000 + b"\nat \n", "the first line of a block: "),
        (b"block [-1,0,0,[]]\nat \n", "the first line of a block: "),
        (b"block [0,9223372036854775808,0,[]]\nat \n", "the first line of a block: "),
        (b'block [0,0,0,[["a"]]]\nat \n', "the first line of a block: "),
        (b"block [0,0,0,[]]\n", "begin with 'at ' at byte 17"),
        (b"block [0,0,0,[]]\nat\n", "begin with 'at ' at byte 17"),
        (b"block [0,0,0,[]]\nat \n\n", "begins with nothing known at byte 21"),
        (b"block [0,0,0,[]]\nat \n~\n", "begins with nothing known at byte 21"),
        (b"block [0,0,0,[]]\nat \n{\n", "a timed line without its moment at byte 21"),
        (b"block [0,0,0,[]]\nat a0\n{\n", "a place that the block does not name at byte 20"),
        (HEAD + b"at 0\n{\n", "a place that the block does not name at byte 32"),
        (HEAD + b"at b0\n{\n", "a place that the block does not name at byte 32"),
        (HEAD + b"at aaaaaaaaaaaaaaaaaaaaaa0\n{\n", "a place that the block does not name at byte 32"),
        (HEAD + b"at a\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a0 \n{\n{\n", "not a moment at byte 35"),
        (HEAD + b"at a0  0\n{\n{\n", "not a moment at byte 35"),
        (HEAD + b"at a0\t0\n{\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a0*0\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a0*\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a0*-1\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a0+\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a--1\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a" + b"1" * 21 + b"\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a0*" + b"1" * 19 + b"\n{\n", "not a moment at byte 32"),
        (HEAD + b"at a" + b"9" * 20 + b"\n{\n", "a time beyond 64 bits at byte 32"),
        (HEAD + b"at a-9223372036854775809\n{\n", "a time beyond 64 bits at byte 32"),
        (HEAD + b"at a0+9223372036854775808\n{\n", "a time beyond 64 bits at byte 32"),
        (HEAD + b"at a9223372036854775807 1\n{\n{\n", "a time beyond 64 bits at byte 53"),
        (HEAD + b"at a0*999999999999999999\n{\n", "more moments than timed lines at byte 29"),
        (HEAD + b"at a0 1\n{\n", "more moments than timed lines at byte 29"),
        (HEAD + b'at a0\n=["started"]\n', "more moments than timed lines at byte 29"),
        (HEAD + b"at a0\n;====\n", "not base64: .* at byte 36"),
    ],
    ids=range(37),
)
def test_what_is_no_block_is_refused_with_its_place(text: bytes, complaint: str) -> None:
    error = read(close(text))
    assert isinstance(error, FrameError)
    assert re.search(complaint, str(error)), error


def test_largest_figures_are_read() -> None:
    moments = b"a9223372036854775807-18446744073709551615 -18446744073709551615+18446744073709551615*2"
    block = read(close(HEAD + b"at " + moments + b"\n{\n{\n{\n"))
    assert isinstance(block, Block)
    first, second, third = (entry.stamp for entry in block.entries)
    assert first == Stamp("public", 0, -(1 << 63), (1 << 63) - 1)
    assert second == Stamp("public", 0, -(1 << 63), -(1 << 63))
    assert second is third


def test_what_stands_behind_the_known_fields_of_a_block_is_ignored() -> None:
    block = read(close(b'block [7,5,6,[["public",0,"later"]],{"later":1}]\nat a0\n{}\n'))
    assert block == Block(7, 5, 6, 8, [pure.Run("public", [b"{}"], [Stamp("public", 0, 5, 6)])])
