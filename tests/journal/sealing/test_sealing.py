"""Sealing: the same text in less room, states to begin from, an index; whatever happens on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.sealed import QUICK, moments, seal_all, text_of, told_at
from krakenwire.errors import UsageError
from krakenwire.events import LIFECYCLE, BookInvalidated
from krakenwire.journal.files.directory import segments, states
from krakenwire.journal.files.locking import DirectoryLock
from krakenwire.journal.format.lines import Head
from krakenwire.journal.playing.player import Player
from krakenwire.journal.playing.seeking import items_from, place_before, play_to
from krakenwire.journal.sealing import sealing
from krakenwire.journal.sealing.index import read_index
from krakenwire.journal.sealing.sealer import Sealer
from krakenwire.journal.sealing.sealing import main, seal, unsealed
from krakenwire.journal.states import state
from krakenwire.journal.states.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from krakenwire.journal.states.state import StateUnusable
from krakenwire.journal.tools.repairing import repair
from krakenwire.journal.tools.shown import shown_books
from krakenwire.protocol.report import LogState

from .conftest import SECONDS, SEGMENTS


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- what comes of it -------------------------------------------------------------------------------------------------


def test_text_stays_as_it_is(tape: Path) -> None:
    before = [(segment.path, text_of(segment.path)) for segment in segments(tape)]
    indexes = seal_all(tape)
    assert [index.segment for index in indexes] == [1, 2, 3]
    for index, (path, text) in zip(indexes, before, strict=True):
        assert text_of(path) == text
        assert index.text_bytes == len(text)
        assert index.size == path.stat().st_size
        assert index.is_sealed
        assert index.is_exact
        assert index.different == 0
        assert len(index.checkpoints) > 2
    assert indexes[-1].closed == "closed"
    assert not [name for name in names(tape) if name.endswith(".partial")]


def test_it_gets_smaller(recorded: Path, tmp_path: Path) -> None:
    directory = tmp_path / "tape"
    shutil.copytree(recorded, directory)
    before = [segment.path.stat().st_size for segment in segments(directory)]
    for size, segment in zip(before, segments(directory), strict=True):
        assert seal(directory, segment).size < 0.9 * size


def test_what_is_sealed_stays_as_it_is(tape: Path) -> None:
    seal_all(tape)
    before = {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tape.iterdir()}
    assert unsealed(tape) == []
    assert seal(tape, segments(tape)[0]) == read_index(segments(tape)[0])
    assert {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tape.iterdir()} == before


def test_what_is_being_written_is_left_alone(tape: Path) -> None:
    lock = DirectoryLock(tape)
    try:
        assert [segment.number for segment in unsealed(tape)] == [1, 2]
    finally:
        lock.release()
    assert [segment.number for segment in unsealed(tape)] == [1, 2, 3]


def test_every_place_in_the_index_is_where_it_says(tape: Path) -> None:
    for index in seal_all(tape):
        segment = segments(tape)[index.segment - 1]
        for place in index.places:
            data = segment.path.read_bytes()[place.offset :]
            assert data.startswith(b"\x28\xb5\x2f\xfd")
        for checkpoint in index.checkpoints:
            name = f"{index.segment:08}-{checkpoint.n}.state"
            assert read_checkpoint(tape / name, layout=index.layout, n=checkpoint.n).log is not None


# --- moments ----------------------------------------------------------------------------------------------------------


def test_moment_is_the_same_sealed_or_not(tape: Path) -> None:
    when = moments(tape, 25, SECONDS * 1.02)
    before = [told_at(tape, each) for each in when]
    assert len({each[0] for each in before}) > 20
    seal_all(tape)
    assert [told_at(tape, each) for each in when] == before
    begun = [place_before(tape, received_ns=each) for each in when]
    assert sum(place.core is not None for place in begun) > 20, "the states are of no use"
    for n, place in zip([each[0] for each in before], begun, strict=True):
        assert place.n <= n


def test_moment_has_all_that_was_received_by_then_and_nothing_else(tape: Path) -> None:
    begin = place_before(tape, number=1)
    blocks = [item for item in items_from(tape, begin) if not isinstance(item, Head)]
    inputs = [entry for block in blocks for entry in block.entries if entry.kind in ("frame", "input")]
    seal_all(tape)
    for when in moments(tape, 25, SECONDS * 1.02):
        later = (n for n, entry in enumerate(inputs) if entry.stamp is not None and entry.stamp.received_ns > when)
        assert play_to(tape, when).core.n == next(later, len(inputs))


def test_states_of_another_version_are_not_used(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (when,) = moments(tape, 1, SECONDS * 0.9)
    before = told_at(tape, when)
    seal_all(tape)
    assert place_before(tape, received_ns=when).core is not None
    monkeypatch.setattr(state, "_sources", lambda: "another")
    place = place_before(tape, received_ns=when)
    assert (place.core, place.n, place.segment.number) == (None, 0, 1)
    assert told_at(tape, when) == before


@pytest.mark.parametrize("harm", ["gone", "cut", "flipped", "of another"])
def test_states_that_are_harmed_are_passed_over(tape: Path, harm: str) -> None:
    (when,) = moments(tape, 1, SECONDS * 0.9)
    before = told_at(tape, when)
    seal_all(tape)
    used = place_before(tape, received_ns=when)
    paths = {n: path for n, _, path in states(tape)}
    path = paths[used.n]
    data = path.read_bytes()
    other = next(each for n, each in paths.items() if n != used.n)
    match harm:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(data[:-1])
        case "flipped":
            path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        case "of another":
            path.write_bytes(other.read_bytes())
    place = place_before(tape, received_ns=when)
    assert place.core is not None
    assert place.n < used.n
    assert told_at(tape, when) == before


@pytest.mark.parametrize("left", [0, -5])
def test_state_with_a_log_that_would_never_end_is_not_used(tmp_path: Path, left: int) -> None:
    path = tmp_path / "00000001-7.state"
    write_checkpoint(path, Checkpoint(b"", LogState({}, b"", b"", left)), layout="a", n=7)
    with pytest.raises(StateUnusable, match="there cannot be"):
        read_checkpoint(path, layout="a", n=7)


def test_side_cars_of_a_file_that_is_not_there_any_more_are_not_used(tape: Path) -> None:
    old = segments(tape)[1].path.read_bytes()
    seal_all(tape)
    second = segments(tape)[1]
    index = read_index(second)
    assert index is not None
    second.path.write_bytes(old)
    assert read_index(second) is None
    assert [each.number for each in unsealed(tape)] == [2]
    again = seal_all(tape)[0]
    assert again.layout != index.layout
    with pytest.raises(StateUnusable, match="not there any more"):
        read_checkpoint(
            tape / f"00000002-{again.checkpoints[0].n}.state", layout=index.layout, n=again.checkpoints[0].n
        )


def test_before_the_beginning_there_is_nothing(tape: Path) -> None:
    with pytest.raises(UsageError, match="begins later than 20"):
        play_to(tape, segments(tape)[0].started_ns - 1)


# --- the index --------------------------------------------------------------------------------------------------------


def test_index_sums_up_what_was_told(tape: Path) -> None:
    told: list[Any] = []
    player = Player(told.extend)
    for item in items_from(tape, place_before(tape, number=1)):
        if isinstance(item, Head):
            player.begin(item)
        else:
            player.play(item)
    indexes = seal_all(tape)
    lifecycle = Counter(type(event).__name__ for event in told if event.channel == LIFECYCLE)
    assert sum((Counter(index.lifecycle) for index in indexes), Counter()) == lifecycle
    market = Counter(event.channel for event in told if event.channel not in (LIFECYCLE, "heartbeat"))
    streams: Counter[str] = Counter()
    for index in indexes:
        for stream in index.streams:
            streams[stream.channel] += stream.messages
            assert stream.first_ns <= stream.last_ns
    assert streams == market
    assert sum(index.events for index in indexes) == len(told)
    assert sum(index.frames for index in indexes) == player.core.frames
    assert [index.n for index in indexes] == [
        (first.n[1] if first else 0, index.n[1]) for first, index in zip([None, *indexes], indexes, strict=False)
    ]
    assert indexes[-1].n[1] == player.core.n
    assert sum(len(index.gaps) for index in indexes) == lifecycle["Gap"]
    invalidated = Counter(f"{event.symbol} {event.reason}" for event in told if isinstance(event, BookInvalidated))
    summed: Counter[str] = Counter()
    for book in [book for index in indexes for book in index.books]:
        summed.update({f"{book.symbol} {reason}": count for reason, count in book.invalidated.items()})
    assert summed == invalidated


def test_index_knows_when_a_book_was_synced(tape: Path) -> None:
    books = [book for index in seal_all(tape) for book in index.books]
    seen = Counter[bool]()
    for when in moments(tape, 60, SECONDS):
        for book in shown_books(play_to(tape, when).core):
            name = book.symbol, book.depth
            intervals = [span for each in books if (each.symbol, each.depth) == name for span in each.synced]
            if any(when in span for span in intervals):
                continue  # it begins or ends at this very moment
            assert any(begin < when < end for begin, end in intervals) is (book.status == "synced"), (when, book)
            seen[book.status == "synced"] += 1
    assert min(seen[True], seen[False]) > 1


# --- when it goes wrong -----------------------------------------------------------------------------------------------


def test_killed_at_any_moment_it_is_begun_again(tape: Path) -> None:
    """The process is gone at every one of the moments at which something was put on the disk."""
    first = segments(tape)[0]
    text = text_of(first.path)
    (when,) = moments(tape, 1, SECONDS * 0.25)
    before = told_at(tape, when)
    for steps in range(1000):
        pid = os.fork()
        if pid == 0:
            _seal_and_die(tape, steps)
        _, status = os.waitpid(pid, 0)
        assert text_of(first.path) == text
        if steps % 7 == 0:
            assert told_at(tape, when) == before
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == 9
    assert steps > 10
    assert unsealed(tape)[0].number == 2
    assert seal(tape, first).is_sealed
    assert told_at(tape, when) == before
    assert not [name for name in names(tape) if name.endswith(".partial")]


def test_second_sealer_that_is_killed_takes_nothing_from_the_first(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = segments(tape)[0]
    text, digest, put = text_of(segment.path), sealing._digest, sealing._Copy.put

    def let_another_in(path: Path) -> bytes:
        """It was proven; before it takes the segment's name another one begins, and is killed."""
        monkeypatch.setattr(sealing, "_digest", digest)
        found = digest(path)
        child = os.fork()
        if child == 0:
            monkeypatch.setattr(sealing._Copy, "put", lambda self, piece: (put(self, piece), os._exit(0)))
            try:
                seal(tape, segment, options=QUICK)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        return found

    monkeypatch.setattr(sealing, "_digest", let_another_in)
    with suppress(UsageError):  # that it could not be sealed would do
        seal(tape, segment, options=QUICK)
    assert text_of(segment.path) == text
    seal_all(tape)
    assert text_of(segment.path) == text
    assert not [name for name in names(tape) if name.endswith(".partial")]


def test_index_is_not_of_a_file_that_was_repaired_meanwhile(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = segments(tape)[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    play = sealing._Sealing._play

    def play_and_repair(self: Any, *arguments: Any) -> None:
        play(self, *arguments)
        repair(tape)

    monkeypatch.setattr(sealing._Sealing, "_play", play_and_repair)
    with pytest.raises(UsageError, match="changed while it was read"):
        seal(tape, segments(tape)[0], options=QUICK)
    assert read_index(segments(tape)[0]) is None


def _seal_and_die(directory: Path, steps: int) -> None:
    """In a process of its own: die after so many steps."""
    left = steps

    def step(real: Any) -> Any:
        def stepped(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(9)
            left -= 1
            return real(*arguments, **options)

        return stepped

    os.fsync = step(os.fsync)
    Path.replace = step(Path.replace)  # type: ignore[method-assign]  # so that the process dies there
    Path.unlink = step(Path.unlink)  # type: ignore[method-assign]  # likewise
    try:
        seal(directory, segments(directory)[0], options=QUICK)
    except BaseException:
        os._exit(3)
    os._exit(0)


@pytest.mark.parametrize("at", [0.4, 0.8])
def test_damaged_segment_is_indexed_and_left_as_it_is(tape: Path, at: float) -> None:
    second = segments(tape)[1]
    data = bytearray(second.path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    second.path.write_bytes(data)
    indexes = seal_all(tape)
    assert [index.is_sealed for index in indexes] == [True, False, True]
    assert second.path.read_bytes() == data
    assert indexes[1].damage
    assert not indexes[1].is_exact
    assert indexes[1].holes or indexes[2].holes  # the latter if its end is lost
    assert unsealed(tape) == []


def test_torn_segment_is_indexed_as_far_as_it_goes(tape: Path) -> None:
    last = segments(tape)[-1]
    data = last.path.read_bytes()
    last.path.write_bytes(data[:-1000])
    index = seal_all(tape)[-1]
    assert not index.is_sealed
    assert "cut" in index.damage[0][1] or "end" in index.damage[0][1]
    assert index.is_exact
    assert index.closed is None
    assert last.path.read_bytes() == data[:-1000]


def test_full_disk_leaves_it_as_it_was(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = segments(tape)[0]
    data = first.path.read_bytes()

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        seal(tape, first)
    assert first.path.read_bytes() == data
    assert not [name for name in names(tape) if name.endswith(".partial")]


def test_text_that_came_out_otherwise_is_not_taken(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = segments(tape)[0]
    data = first.path.read_bytes()
    monkeypatch.setattr(sealing, "_digest", lambda _path: b"another")
    with pytest.raises(UsageError, match="left as it is"):
        seal(tape, first)
    assert first.path.read_bytes() == data


def test_missing_segment_is_a_hole_and_no_end(tape: Path) -> None:
    segments(tape)[1].path.unlink()
    indexes = seal_all(tape)
    assert [(index.segment, index.is_exact) for index in indexes] == [(1, True), (3, False)]
    assert indexes[1].checkpoints == []
    assert indexes[1].holes or indexes[2].holes  # the latter if its end is lost


# --- as a process -----------------------------------------------------------------------------------------------------


def test_child_seals_one_segment_after_another(tape: Path) -> None:
    sealer = Sealer(tape)
    assert [sealer.seal(number) for number in (1, 2)] == [True, True]
    assert (sealer.sealed, sealer.failures) == (2, 0)
    assert [segment.number for segment in unsealed(tape)] == [3]
    sealer.close()
    assert not sealer.seal(3)
    assert (sealer.sealed, sealer.failures) == (2, 0)


def test_child_that_fails_is_counted(tape: Path, caplog: pytest.LogCaptureFixture) -> None:
    segments(tape)[0].path.write_bytes(b"no segment")
    sealer = Sealer(tape)
    assert not sealer.seal(1)
    assert sealer.failures == 1
    assert "segment 1 was not sealed" in caplog.text


def test_close_ends_the_child(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", _script(tape, "import time; print('x', flush=True); time.sleep(600)"))
    sealer = Sealer(tape)
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(sealer.seal(1)))
    thread.start()
    while sealer._child is None:
        pass
    sealer.close()
    thread.join(30)
    assert done == [False]
    assert sealer.failures == 0


def _script(directory: Path, code: str) -> str:
    path = directory.parent / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}"\n', "utf-8")
    path.chmod(0o755)
    return str(path)


def test_child_ends_with_its_parent(tape: Path) -> None:
    """Its standard input ends then; the work it does meanwhile never would."""
    code = (
        "import sys, threading; from krakenwire.journal.sealing import sealing; "
        "sealing.seal = lambda *_, **__: threading.Event().wait(); "
        f"sys.exit(sealing.main({str(tape)!r}, '--attended'))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == 1


def test_module_seals_all_and_says_what_it_cannot(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(tape)) == 0
    assert len([name for name in names(tape) if name.endswith(".index")]) == SEGMENTS
    assert main(str(tape / "nowhere")) == 1
    assert "nowhere" in capsys.readouterr().err
