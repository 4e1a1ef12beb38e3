"""A book that was found wrong leaves a bundle, which plays to the same mismatch."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.frames import Model, v2_element, v2_frame, walk
from helpers.processes import objects, run
from helpers.wire import S, Wire, acks, book, instrument, timestamp
from krakenwire.errors import UsageError
from krakenwire.events import BookInvalidated
from krakenwire.journal import FrameReplay, read_frames
from krakenwire.journal.bundles import evidence as module
from krakenwire.journal.bundles.bundle import Bundle, KeptFrame, bundles_in, read_bundle
from krakenwire.journal.bundles.evidence import KEPT, Evidence
from krakenwire.protocol.subscriptions import Key

BTC = "BTC/USD"


def only(items: list[Any]) -> Any:
    assert len(items) == 1, items
    return items[0]


def right_frames(seed: int, depth: int) -> Iterator[bytes]:
    """A market's frames, a snapshot first."""
    for tick, (kind, bids, asks, checksum, _) in enumerate(walk(seed, symbol=BTC, depth=depth, updates=3000), seed):
        yield v2_frame(kind, v2_element(BTC, bids, asks, checksum, timestamp(tick)))


class Watched:
    """A core whose events are watched, with a book of right frames."""

    def __init__(self, directory: Path, *, depth: int = 10, price_precision: int = 1, batch: int = 1) -> None:
        self.wire = Wire().start()
        self.evidence = Evidence(directory, self.wire.core)
        self.directory = directory
        self.depth = depth
        self.batch = batch
        self.wire.subscribe(Key("instrument"), book(BTC, depth))
        for request in self.wire.sent():
            self.wire.receive(*acks(request))
        self.wire.receive(instrument(BTC, price_precision=price_precision))
        self.frames = right_frames(5, depth)
        self.sent: list[bytes] = []
        self.seen = 0

    def play(self, count: int) -> None:
        """So many right frames."""
        for number in range(count):
            frame = next(self.frames)
            self.sent.append(frame)
            self.wire.now += S // 100
            self.wire.receive(frame)
            if number % self.batch == self.batch - 1:
                self.look()
        self.look()

    def spoil(self) -> BookInvalidated:
        """A frame with a wrong checksum; what is found."""
        frame = next(self.frames)
        head, _, tail = frame.partition(b'"checksum":')
        digits = tail[: len(tail) - len(tail.lstrip(b"0123456789"))]
        spoiled = head + b'"checksum":%d' % (int(digits) ^ 1) + tail[len(digits) :]
        self.sent.append(spoiled)
        self.wire.receive(spoiled)
        self.look()
        return self.wire.told(BookInvalidated)[-1]

    def look(self) -> None:
        """Hand over what was published."""
        news, self.seen = self.wire.log[self.seen :], len(self.wire.log)
        self.evidence.see(news)

    def bundle(self) -> tuple[Path, Bundle]:
        """The one bundle there is."""
        self.evidence.close()
        path = only(bundles_in(self.directory))
        return path, read_bundle(path)


def replayed(path: Path) -> list[BookInvalidated]:
    """What playing the frames of a bundle finds."""
    found: list[BookInvalidated] = []
    replay = FrameReplay(lambda events: found.extend(each for each in events if isinstance(each, BookInvalidated)))
    with (path / "frames.jsonl").open("rb") as file:
        replay.feed(read_frames(file))
    return found


@pytest.mark.parametrize("depth", [10, 100, 1000])
@pytest.mark.parametrize("played", [1, 2, 40, 64, 65, 128, 129, 500])
def test_bundle_plays_to_the_same_mismatch(tmp_path: Path, depth: int, played: int) -> None:
    watched = Watched(tmp_path, depth=depth)
    watched.play(played)
    found = watched.spoil()
    path, bundle = watched.bundle()
    assert bundle.frames == min(played, KEPT) + 1
    assert bundle.is_whole
    assert (bundle.before is None) == (played <= KEPT)
    again = only(replayed(path))
    assert (again.reason, again.expected, again.computed, again.text, again.normalised_text) == (
        found.reason,
        found.expected,
        found.computed,
        found.text,
        found.normalised_text,
    )
    assert bundle.matches(again)


def test_frames_are_kept_byte_for_byte_and_in_order(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(200)
    watched.spoil()
    path, _ = watched.bundle()
    with (path / "frames.jsonl").open("rb") as file:
        kept = [each for each in read_frames(file) if each.received_ns is not None]
    assert [each.frame for each in kept] == watched.sent[-KEPT - 1 :]
    times = [each.received_ns for each in kept if each.received_ns is not None]
    assert times == sorted(times)


def test_bundle_says_what_was_found_where_and_by_what(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    found = watched.spoil()
    path, bundle = watched.bundle()
    assert path.name == f"{bundle.at.replace(':', '-')}-BTC-USD-checksum"
    assert (bundle.symbol, bundle.depth, bundle.connection, bundle.epoch) == (BTC, 10, "public", 0)
    assert (bundle.seq, bundle.n, bundle.received_ns) == (found.seq, found.n, found.received_ns)
    assert (bundle.expected, bundle.computed, bundle.text) == (found.expected, found.computed, found.text)
    assert (bundle.price_precision, bundle.qty_precision) == (1, 8)
    assert bundle.krakenwire
    assert bundle.kernel in ("compiled", "pure")
    raw = json.loads((path / "bundle.json").read_bytes())
    assert raw["before"]["bids"][0] == list(bundle.before.bids[0] if bundle.before else ())


def test_levels_before_are_those_of_the_true_book(tmp_path: Path) -> None:
    watched = Watched(tmp_path, depth=25)
    watched.play(300)
    watched.spoil()
    _, bundle = watched.bundle()
    model = Model(BTC, 25)
    for frame in watched.sent[: -KEPT - 1]:
        message = json.loads(frame, parse_float=str, parse_int=str)
        (element,) = message["data"]
        sides = ([(level["price"], level["qty"]) for level in element[side]] for side in ("bids", "asks"))
        checksum = model.apply(*sides, snapshot=message["type"] == "snapshot")
    assert bundle.before is not None
    assert (bundle.before.bids, bundle.before.asks) == (model.best("bids"), model.best("asks"))
    assert bundle.before.checksum == checksum


@pytest.mark.parametrize("batch", [3, 64, 100, 1000])
def test_frames_that_come_in_one_read_are_kept_all_the_same(tmp_path: Path, batch: int) -> None:
    watched = Watched(tmp_path, batch=batch)
    watched.play(700)
    watched.spoil()
    path, bundle = watched.bundle()
    assert bundle.frames == KEPT + 1
    assert bundle.matches(only(replayed(path)))


def test_numbers_without_their_padding_are_replayed_with_the_precisions(tmp_path: Path) -> None:
    watched = Watched(tmp_path, price_precision=2)
    bids, asks = [("100.50", "1.00000000")], [("101.00", "2.00000000")]
    model = Model(BTC, 10)

    def frame(kind: str, tick: int, off: int = 0) -> bytes:
        checksum = model.apply(bids, asks, snapshot=kind == "snapshot") ^ off
        short_bids, short_asks = (
            [(price.rstrip("0").rstrip("."), qty.rstrip("0").rstrip(".")) for price, qty in side]
            for side in (bids, asks)
        )
        return v2_frame(kind, v2_element(BTC, short_bids, short_asks, checksum, timestamp(tick)))

    watched.wire.receive(frame("snapshot", 1))
    for tick in range(2, 200):
        bids[0] = ("100.50", f"{tick}.00000000")
        watched.wire.receive(frame("update", tick))
    assert watched.wire.core.statistics().normalised > 100
    watched.wire.receive(frame("update", 200, off=1))
    watched.look()
    path, bundle = watched.bundle()
    assert bundle.normalised_text
    assert bundle.is_whole
    assert bundle.matches(only(replayed(path)))


@pytest.mark.parametrize("reason", ["crossed", "timestamp"])
def test_other_things_that_a_frame_shows_are_kept_too(tmp_path: Path, reason: str) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    state = watched.wire.state()
    model = Model(BTC, 10)
    sides = ([(format(p, "f"), format(q, "f")) for p, q in state.levels(side)] for side in ("bids", "asks"))
    model.apply(*sides, snapshot=True)
    if reason == "crossed":
        best = state.levels("asks")[0]
        bids = [(format(best.price + 1, "f"), "1.00000000")]
        frame = v2_frame("update", v2_element(BTC, bids, [], model.apply(bids, []), "2027-01-01T00:00:00.000000Z"))
    else:
        frame = v2_frame("update", v2_element(BTC, [], [], model.checksum(), "2001-01-01T00:00:00.000000Z"))
    watched.wire.receive(frame)
    watched.look()
    path, bundle = watched.bundle()
    assert path.name.endswith(f"-{reason}")
    again = only(replayed(path))
    assert again.reason == bundle.reason == reason
    assert bundle.matches(again)


def test_wrong_snapshot_is_a_bundle_of_its_own(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.spoil()
    path, bundle = watched.bundle()
    assert (bundle.frames, bundle.is_whole, bundle.before) == (1, True, None)
    assert bundle.matches(only(replayed(path)))


def test_each_book_that_is_found_wrong_begins_anew(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    watched.spoil()
    watched.frames = right_frames(6, 10)
    watched.play(10)
    watched.wire.now += S
    watched.spoil()
    watched.evidence.close()
    first, second = (read_bundle(path) for path in bundles_in(tmp_path))
    assert (first.frames, second.frames) == (KEPT + 1, 11)


def test_what_no_frame_shows_leaves_no_bundle(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    watched.wire.disconnect()
    watched.look()
    watched.evidence.close()
    assert watched.wire.told(BookInvalidated)
    assert bundles_in(tmp_path) == []


def test_nothing_is_kept_of_what_nobody_wants_any_more(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    assert watched.evidence._trails
    watched.wire.unsubscribe(book(BTC))
    watched.wire.receive(*acks(only(watched.wire.sent())))
    watched.look()
    assert not watched.evidence._trails
    watched.evidence.close()


# --- the directory ---------------------------------------------------------------------------------------------------


def test_directory_is_made(tmp_path: Path) -> None:
    Evidence(tmp_path / "a" / "b", Wire().core).close()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_path_that_cannot_be_a_directory_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"bundles cannot be written to .*/file: it is no directory"):
        Evidence(tmp_path / "file", Wire().core)


def test_directory_that_goes_away_costs_bundles_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(tmp_path / "bundles")
    watched.play(100)
    (tmp_path / "bundles").rmdir()
    watched.spoil()
    watched.evidence.close()
    statistics = watched.evidence.statistics
    assert (statistics.written, statistics.failed) == (0, 1)
    assert "could not be written" in caplog.text


def test_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    watched = Watched(tmp_path)
    watched.play(100)
    monkeypatch.setattr(Path, "rename", full)
    watched.spoil()
    watched.evidence.close()
    assert list(tmp_path.iterdir()) == []
    assert watched.evidence.statistics.failed == 1


def test_oldest_goes_when_there_are_too_many_and_what_is_not_ours_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BUNDLES", 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "0000-notes.txt").write_text("")
    watched = Watched(tmp_path)
    for seed in range(5):
        watched.frames = right_frames(seed, 10)
        watched.wire.now += 3600 * S
        watched.play(5)
        watched.spoil()
    watched.evidence.close()
    assert len(bundles_in(tmp_path)) == 3
    assert {"mine", "0000-notes.txt"} <= {path.name for path in tmp_path.iterdir()}
    assert {read_bundle(path).n for path in bundles_in(tmp_path)} == {
        event.n for event in watched.wire.told(BookInvalidated)[-3:]
    }


def test_slow_disk_is_not_given_more_and_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    gate = threading.Event()
    write = module._write
    monkeypatch.setattr(module, "_write", lambda *given: (gate.wait(20), write(*given))[1])
    watched = Watched(tmp_path)
    for seed in range(5):
        watched.frames = right_frames(seed, 10)
        watched.play(5)
        watched.spoil()
    gate.set()
    watched.evidence.close()
    statistics = watched.evidence.statistics
    assert (statistics.written, statistics.skipped) == (2, 3)


def test_two_at_the_same_moment_have_names_of_their_own(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for seed in range(2):
        watched.frames = right_frames(seed, 10)
        watched.spoil()
    watched.evidence.close()
    first, second = sorted(path.name for path in bundles_in(tmp_path))
    assert second == f"{first}-2"


# --- the command -----------------------------------------------------------------------------------------------------


def test_command_plays_a_bundle_and_says_that_it_is_the_same(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    watched.spoil()
    path, bundle = watched.bundle()
    ended = run("replay", path)
    assert ended.code == 1
    assert "WRONG, as its bundle says" in ended.out
    assert str(bundle.expected) in ended.out
    ended = run("replay", "--json", path)
    assert (ended.code, only(objects(ended.out))["reproduced"]) == (1, True)
    ended = run("replay", path / "frames.jsonl")
    assert ended.code == 1


def test_command_says_when_a_bundle_is_not_reproduced(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    watched.spoil()
    path, _ = watched.bundle()
    frames = (path / "frames.jsonl").read_bytes().splitlines(keepends=True)
    (path / "frames.jsonl").write_bytes(b"".join(frames[:-1]))
    ended = run("replay", path)
    assert ended.code == 1
    assert "NOT as its bundle says" in ended.out


@pytest.mark.parametrize(
    ("text", "complaint"), [("{", "is not what a bundle has"), ('{"format":1}', "is not what a bundle has")]
)
def test_command_refuses_what_is_no_bundle(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "bundle.json").write_text(text)
    ended = run("replay", tmp_path)
    assert ended.code == 2
    assert complaint in ended.err


def test_frame_with_a_line_break_stays_on_its_line(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(10)
    frame = watched.sent.pop()
    broken = frame.replace(b',"asks"', b'\r\n,"asks"')
    found = BookInvalidated(symbol=BTC, depth=10, reason="checksum", frame=broken)
    module._write(tmp_path, found, None, None)
    (path,) = bundles_in(tmp_path)
    with (path / "frames.jsonl").open("rb") as file:
        assert [each.frame for each in read_frames(file)][-1] == broken
    assert KeptFrame(frame, 0, 0).frame == frame
    assert os.stat(path).st_mode & 0o777 == 0o755


# --- a stream that is joined, or goes on over another connection -----------------------------------------------------


def test_trail_that_begins_in_the_midst_of_a_stream_is_whole_from_the_next_batch_on(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for _ in range(50):
        watched.sent.append(next(watched.frames))
        watched.wire.receive(watched.sent[-1])
    watched.seen = len(watched.wire.log) - 1  # nothing was seen but the last
    watched.play(30)
    watched.spoil()
    path, bundle = watched.bundle()
    assert (bundle.frames, bundle.is_whole) == (30, True)
    assert bundle.matches(only(replayed(path)))


def test_book_of_another_depth_begins_a_trail_of_its_own(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.play(100)
    watched.wire.unsubscribe(book(BTC))
    watched.wire.receive(*acks(only(watched.wire.sent())))
    watched.seen = len(watched.wire.log)  # its end was not seen
    watched.wire.subscribe(book(BTC, 100))
    watched.wire.receive(*acks(only(watched.wire.sent())))
    watched.frames = right_frames(9, 100)
    watched.play(100)
    watched.spoil()
    path, bundle = watched.bundle()
    assert (bundle.depth, bundle.frames, bundle.is_whole) == (100, KEPT + 1, True)
    assert bundle.matches(only(replayed(path)))
