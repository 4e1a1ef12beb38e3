"""A journal is played: what differs from what was recorded is named, whatever is in it, and playing goes on."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import pytest

from helpers.played import SmallRun, edited, played
from helpers.taped import BlockTape, live
from krakenwire.errors import UsageError
from krakenwire.events import Stamp
from krakenwire.journal.format import BlockWriter, close_block, read_block
from krakenwire.journal.playing.making import core_of, made_of
from krakenwire.journal.playing.player import Player
from krakenwire.journal.states.state import dump_core
from krakenwire.protocol.core import Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.report import make_report


def whole_run() -> BlockTape:
    run = SmallRun()
    run.begin()
    run.go_on()
    run.lose()
    return run.end()


@pytest.fixture(scope="module")
def tape() -> BlockTape:
    tape = whole_run()
    assert len(tape.blocks) > 4, "digests lie between the inputs"
    return tape


def test_all_is_as_recorded(tape: BlockTape) -> None:
    player = played(tape)
    assert (player.different, player.holes, player.is_exact) == (0, [], True)
    assert min(player.compared) >= 1
    assert player.report(1.0).event_digest == tape.log.hexdigest()


def test_line_by_line_is_the_same_as_block_by_block(tape: BlockTape) -> None:
    player = Player()
    player.begin(tape.head)
    told = 0
    for text in tape.blocks:
        block = read_block(text)
        player.begin_block(block)
        told += sum(len(player.step(entry)) for entry in block.entries)
    assert player.different == 0
    assert player.report(1.0) == played(tape).report(1.0)
    assert told == tape.log.count


def is_action(line: bytes) -> bool:
    return line.startswith(b'>["send"')


def test_action_that_is_another_one_is_named(tape: BlockTape) -> None:
    def edit(lines: list[bytes]) -> list[bytes]:
        return [line.replace(b"instrument", b"executions") if is_action(line) else line for line in lines]

    player = played(tape, edited(tape.blocks, edit))
    first = player.differences[0]
    assert first.what == "action"
    assert "executions" in (first.recorded or "")
    assert "instrument" in (first.played or "")


def test_action_that_is_missing_or_one_too_many_is_named(tape: BlockTape) -> None:
    actions = sum(is_action(line) for text in tape.blocks for line in text.split(b"\n"))
    less = played(tape, edited(tape.blocks, lambda lines: [line for line in lines if not is_action(line)]))
    assert 0 < less.different <= actions
    assert {each.what for each in less.differences} == {"action"}
    twice = played(
        tape, edited(tape.blocks, lambda lines: [each for line in lines for each in [line] * (1 + is_action(line))])
    )
    assert {each.what for each in twice.differences} == {"action"}
    assert any(each.played is None for each in twice.differences)


def test_action_written_in_another_way_is_the_same(tape: BlockTape) -> None:
    blocks = edited(tape.blocks, lambda lines: [line.replace(b'>["send",', b'>[ "send" , ') for line in lines])
    assert blocks != tape.blocks
    assert played(tape, blocks).different == 0


def test_digest_that_differs_is_named_once(tape: BlockTape) -> None:
    def edit(lines: list[bytes]) -> list[bytes]:
        return [b'digest [1,"00"]' if line.startswith(b"digest") else line for line in lines]

    player = played(tape, edited(tape.blocks[:2], edit))
    assert [each.what for each in player.differences] == ["events"]


def test_books_and_counts_that_differ_are_named(tape: BlockTape) -> None:
    def edit(lines: list[bytes]) -> list[bytes]:
        ends = [index for index, line in enumerate(lines) if line.startswith(b"end ")]
        for index in ends:
            end = msgspec.json.decode(lines[index][4:])
            lines[index] = b"end " + msgspec.json.encode(end | {"n": 1, "frames": 2, "state_digest": "00"})
        return lines

    player = played(tape, [*tape.blocks[:-1], *edited(tape.blocks[-1:], edit)])
    assert [each.what for each in player.differences] == ["n", "frames", "state"]


def test_what_this_version_does_not_know_stops_nothing(tape: BlockTape) -> None:
    def edit(lines: list[bytes]) -> list[bytes]:
        return [b"weather {}", b"digest nonsense", b'>["dance"]', b'=["ponder",1]', *lines]

    player = played(tape, edited(tape.blocks[:1], edit))
    whats = [each.what for each in player.differences[:3]]
    assert whats == ["input", "action", "input"]
    assert "ponder" in (player.differences[2].recorded or "")


def test_defect_of_this_version_is_a_difference(tape: BlockTape, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("krakenwire.protocol.placing.Placing.subscribe", fail)
    player = played(tape)
    assert any(each.played == "ZeroDivisionError: a defect" for each in player.differences)
    assert player.core.n == read_block(tape.blocks[-1]).last_n


def test_digest_may_lie_behind_the_inputs_already_taken() -> None:
    run = SmallRun()
    run.begin()
    count, digest = run.tape.log.count, run.tape.log.hexdigest()
    run.wire.receive(run.feed.update(bids=[("100.1", "1.5")]))  # received, and not published yet
    run.tape._note("digest", [count, digest])
    run.go_on()
    player = played(run.end())
    assert player.different == 0
    assert player.compared[0] > 1


# --- inputs that are missing -----------------------------------------------------------------------------------------


def with_gap(state: bytes | None) -> tuple[BlockTape, list[bytes], Core]:
    """A recorder that lost what came in the midst, as the writer does it."""
    run = SmallRun()
    run.begin()
    run.tape._take()
    before, first = list(run.tape.blocks), run.wire.core.n + 1
    run.go_on()
    run.publish()
    core = run.wire.core
    behind = BlockTape(run.tape.head.made)
    behind._writer = BlockWriter(core.n)
    behind._note("gap", {"first": first, "last": core.n, "reason": "the disk is full", "received_ns": [1, 2]})
    held = dump_core(core) if state is None else state
    behind._note("state", base64.b64encode(held).decode())
    core.tape = run.tape = behind
    run.lose()
    return run.tape, before + run.end().blocks, core


def test_gap_with_a_state_behind_it_is_bridged() -> None:
    tape, blocks, core = with_gap(None)
    player = played(tape, blocks)
    (hole,) = player.holes
    assert (hole.reason, hole.is_bridged, player.is_exact) == ("the disk is full", True, True)
    assert hole.last > hole.first
    assert player.different == 0
    assert min(player.compared) >= 1, "digests are compared again"
    report, live_report = player.report(1.0), make_report(core, tape.log, 1.0)
    assert (report.state_digest, report.event_digest) == (live_report.state_digest, live_report.event_digest)
    assert report.events > live_report.events, "what was before the gap is counted, too"


@pytest.mark.parametrize("state", [b"", b"state of another version"])
def test_gap_whose_state_is_of_no_use_leaves_a_view_from_outside(state: bytes) -> None:
    tape, blocks, core = with_gap(state)
    player = played(tape, blocks)
    (hole,) = player.holes
    assert (hole.is_bridged, player.is_exact, player.different) == (False, False, 0)
    assert player.core.n == core.n
    assert not player.core.take_actions()
    session = player.core.session("public")
    assert session is not None
    assert session.books.get("BTC/USD") is not None, "the snapshot tells that there is a book"
    assert player.core.catalogue.get("BTC/USD") is not None


def test_blocks_that_are_not_there_are_a_hole(tape: BlockTape) -> None:
    player = played(tape, tape.blocks[:2] + tape.blocks[3:])
    (hole,) = player.holes
    assert (hole.first, hole.last) == (read_block(tape.blocks[1]).last_n + 1, read_block(tape.blocks[3]).n)
    assert not hole.is_bridged
    assert player.different == 0, "nothing is compared any more"
    assert player.core.n == read_block(tape.blocks[-1]).last_n


def test_journal_whose_beginning_was_given_up_is_seen_from_outside(tape: BlockTape) -> None:
    begin = read_block(tape.blocks[3])
    player = Player()
    player.begin(msgspec.structs.replace(tape.head, segment=4, is_first=False, n=begin.n))
    for text in tape.blocks[3:]:
        player.play(read_block(text))
    assert (player.is_exact, player.different) == (False, 0)
    assert [(hole.first, hole.last) for hole in player.holes] == [(1, begin.n)]


# --- the core --------------------------------------------------------------------------------------------------------


def ask_everything(core: Core, stamp: Stamp) -> None:
    """Call whatever looks like an output."""
    core.next_deadline()
    core.statistics()
    core.connection_statistics()
    core.clock_offset(stamp)
    for placement in core.placements().values():
        core.is_active(placement)
        core.shown_book(placement)
    for session in core.sessions:
        assert core.session(session.name) is session
        core.is_vital(session.name)
        session.next_deadline()
        session.clock_offset.estimate(stamp)
        for symbol in session.books:
            state = session.books.get(symbol)
            assert state is not None
            state.levels("bids")
            state.checksum_text()
    core.catalogue.symbols(tradable_only=True)
    assert core.main[0] == "public"


@pytest.mark.parametrize("seed", [4, 7])
def test_asking_a_core_changes_nothing(seed: int) -> None:
    tape, lived = asyncio.run(live(seed, 10))
    player = Player()
    player.begin(tape.head)
    for text in tape.blocks:
        block = read_block(text)
        player.begin_block(block)
        for entry in block.entries:
            player.step(entry)
            ask_everything(player.core, player.stamp)
    assert (player.different, player.report(1.0)) == (0, lived.report)


@pytest.mark.parametrize("every", ["07:30:00", "23:59:59.250000", 90.5, None])
def test_core_is_made_as_it_was(every: Any) -> None:
    made = made_of(Options(seed=9, ack_timeout=7), mirror=True, book_audit="mirror")
    made = msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.replace(made, reconnect_every=every)), type=type(made)
    )
    core = core_of(made)
    assert core.options == Options(seed=9, ack_timeout=7)
    schedule = core._schedule
    assert (schedule is None) is (every is None)
    kept = None if schedule is None else schedule._every
    again = made_of(core.options, mirror=True, book_audit="mirror", reconnect_every=kept)
    assert again == made


def test_options_of_a_later_version_are_left_out_and_impossible_ones_refused() -> None:
    made = made_of(Options())
    made.options["of_tomorrow"] = 1
    assert core_of(made).options == Options()
    made.options["ack_timeout"] = -1
    with pytest.raises(UsageError, match="ack_timeout must be finite"):
        core_of(made)


def test_block_of_nothing_but_notes_is_played() -> None:
    lines = BlockWriter()
    lines.line(b"weather {}", None, is_input=False)
    player = Player()
    player.begin(whole_run().head)
    player.play(read_block(close_block(lines.take())))
    assert player.core.n == 0
