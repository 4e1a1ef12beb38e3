"""Where two journals, or two lists of events, first differ."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from helpers.played import SmallRun, edited
from helpers.segmented import save_segments
from helpers.taped import BlockTape, live
from krakenwire.errors import UsageError
from krakenwire.events import Stamp
from krakenwire.journal.files.directory import segments
from krakenwire.journal.format import BlockWriter, close_block
from krakenwire.journal.sealing.sealing import seal
from krakenwire.journal.tools.diff_events import diff_events, read_events
from krakenwire.journal.tools.diff_inputs import LineAt, diff_inputs


@pytest.fixture(scope="module")
def lived() -> BlockTape:
    return asyncio.run(live(4, 10))[0]


def altered(lived: BlockTape, directory: Path, old: bytes, new: bytes, *, block: int) -> Path:
    """The same journal with the first `old` from that block on as `new`."""
    is_done = False

    def edit(lines: list[bytes]) -> list[bytes]:
        nonlocal is_done
        for at, line in enumerate(lines):
            if not is_done and old in line:
                is_done = True
                lines[at] = line.replace(old, new)
        return lines

    tape = BlockTape(lived.head.made)
    tape.blocks = [*lived.blocks[:block], *edited(lived.blocks[block:], edit)]
    assert is_done
    save_segments(tape, directory, 2)
    return directory


def test_sealed_and_otherwise_divided_copies_are_equal(lived: BlockTape, tmp_path: Path) -> None:
    save_segments(lived, tmp_path / "a", 1)
    save_segments(lived, tmp_path / "b", 3)
    for segment in segments(tmp_path / "b"):
        seal(tmp_path / "b", segment)
    found = diff_inputs(tmp_path / "a", tmp_path / "b")
    assert found.is_equal
    assert found.inputs == (found.equal, found.equal)
    assert found.equal > 500
    assert (found.differing, found.only, found.actions, found.damage) == (0, (0, 0), 0, [])


def test_blocks_that_are_divided_otherwise_are_equal(tmp_path: Path) -> None:
    tapes = []
    for size in (300, 100_000):
        small = SmallRun()
        small.tape = BlockTape(small.tape.head.made, size=size)
        small.wire.core.tape = small.tape
        small.begin()
        small.go_on()
        small.lose()
        tapes.append(small.end())
    assert len(tapes[0].blocks) > len(tapes[1].blocks)
    for name, tape in zip("ab", tapes, strict=True):
        tape.save(tmp_path / name)
    found = diff_inputs(tmp_path / "a", tmp_path / "b")
    assert (found.first, found.is_equal) == (None, True)
    assert found.inputs[0] == found.equal > 10


def test_block_that_ends_before_an_action_is_equal_to_one_that_does_not(tmp_path: Path) -> None:
    actions = [f'>["send","public","{number}"]'.encode() for number in range(3)]
    for name, cuts in (("a", {1}), ("b", {1, 2})):
        tape, writer = BlockTape(SmallRun().tape.head.made), BlockWriter()
        writer.frame(b"{}", Stamp("public", 0, 1, 1))
        for number, action in enumerate(actions):
            if number in cuts:
                tape.blocks.append(close_block(writer.take()))
            writer.line(action, None, is_input=False)
        tape.blocks.append(close_block(writer.take()))
        tape.save(tmp_path / name)
    assert diff_inputs(tmp_path / "a", tmp_path / "b").first is None


def test_altered_frame_is_the_first_difference(lived: BlockTape, tmp_path: Path) -> None:
    save_segments(lived, tmp_path / "a", 2)
    other = altered(lived, tmp_path / "b", b'"channel":"trade"', b'"channel":"traid"', block=4)
    found = diff_inputs(tmp_path / "a", other)
    assert not found.is_equal
    assert found.first is not None
    assert isinstance(found.first.a, LineAt)
    assert isinstance(found.first.b, LineAt)
    assert (found.first.what, found.first.run) == ("content", 1)
    assert found.first.a.content.replace(b'"channel":"trade"', b'"channel":"traid"') == found.first.b.content
    assert found.first.before is not None
    assert found.first.before[:3] < found.first.a[:3] == found.first.b[:3]
    assert (found.differing, found.equal, found.only) == (1, found.inputs[0] - 1, (0, 0))


def test_altered_action_differs_and_no_input_does(lived: BlockTape, tmp_path: Path) -> None:
    save_segments(lived, tmp_path / "a", 2)
    other = altered(lived, tmp_path / "b", b'>["send","public","{\\"method', b'>["send","public","{\\"mathod', block=0)
    found = diff_inputs(tmp_path / "a", other)
    assert found.first is not None
    assert isinstance(found.first.a, LineAt)
    assert (found.first.what, found.first.a.kind, found.actions, found.differing) == ("content", "action", 1, 0)


def test_block_that_is_not_there_is_told_as_missing(lived: BlockTape, tmp_path: Path) -> None:
    save_segments(lived, tmp_path / "a", 1)
    tape = BlockTape(lived.head.made)
    tape.blocks = [*lived.blocks[:3], *lived.blocks[4:]]
    save_segments(tape, tmp_path / "b", 1)
    found = diff_inputs(tmp_path / "a", tmp_path / "b")
    assert found.first is not None
    assert (found.first.what, found.first.b) == ("missing", None)
    assert found.only[0] == found.inputs[0] - found.inputs[1] > 0
    assert (found.only[1], found.differing) == (0, 0)
    back = diff_inputs(tmp_path / "b", tmp_path / "a")
    assert back.first is not None
    assert (back.first.a, back.only) == (None, (0, found.only[0]))


def test_times_may_be_left_out_and_other_clients_are_told(tmp_path: Path) -> None:
    runs = []
    for start in (0, 5):
        small = SmallRun()
        small.wire.advance(start)
        small.begin()
        runs.append(small.end())
    for name, tape in zip("ab", runs, strict=True):
        tape.save(tmp_path / name)
    found = diff_inputs(tmp_path / "a", tmp_path / "b")
    assert found.first is not None
    assert found.first.what == "time"
    assert diff_inputs(tmp_path / "a", tmp_path / "b", times=False).is_equal


def test_damage_is_no_equality(lived: BlockTape, tmp_path: Path) -> None:
    for name in "ab":
        save_segments(lived, tmp_path / name, 1)
    (path,) = (tmp_path / "b").glob("*.zst")
    path.write_bytes(path.read_bytes()[:-3])
    found = diff_inputs(tmp_path / "a", tmp_path / "b")
    assert len(found.damage) == 1
    assert not found.is_equal


EVENTS: list[dict[str, Any]] = [{"event": "Trade", "n": n, "seq": n, "price": "1.0"} for n in range(10)]


def test_first_event_that_differs_is_shown_with_what_was_before() -> None:
    assert diff_events(EVENTS, EVENTS) == (10, None)
    others = [*EVENTS[:6], EVENTS[6] | {"price": "1.00", "more": 1}, *EVENTS[7:]]
    found = diff_events(EVENTS, others)
    assert found.first is not None
    assert (found.equal, found.first.at, found.first.n, found.first.before) == (6, 6, 6, EVENTS[3:6])
    assert found.first.fields == {"price": ("1.0", "1.00"), "more": (None, 1)}
    assert diff_events(EVENTS, others, ignore=["price", "more"]).first is None
    shorter = diff_events(EVENTS, EVENTS[:9])
    assert shorter.first is not None
    assert (shorter.first.a, shorter.first.b, shorter.first.n) == (EVENTS[9], None, 9)


def test_events_of_a_file_are_those_that_were_printed(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in [*EVENTS, {"file": "tape", "event_digest": "1"}]))
    assert list(read_events(str(path))) == EVENTS
    path.write_text('{"event":1}\nno event\n')
    with pytest.raises(UsageError, match="line 2 is no event: expected what `krakenwire replay"):
        list(read_events(str(path)))
    with pytest.raises(UsageError, match="cannot read"):
        list(read_events(str(tmp_path / "nowhere")))
