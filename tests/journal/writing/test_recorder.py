"""What a recorder writes when the disk is good: everything, once, in segments that end and go as it was asked for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from helpers.disks import contents_of, eventually, replayed, use_disk
from helpers.journals import record_run
from krakenwire import Client, Endpoints, UsageError
from krakenwire.events import Stamp
from krakenwire.journal.files.directory import index_name, segments, state_name
from krakenwire.journal.files.zstd import ZstdDecompressor
from krakenwire.journal.writing.options import JournalOptions
from krakenwire.testing import Simulator

SYMBOL = "BTC/USD"


@asynccontextmanager
async def running(
    options: JournalOptions, *, rate: float = 200.0, **more: Any
) -> AsyncIterator[tuple[Simulator, Client]]:
    """A client that records a book, on a clock that the test moves."""
    async with Simulator(symbols=[SYMBOL], seed=5, rate=rate) as sim:
        kraken = sim.client(journal=options, **more)
        async with kraken, kraken.stream("book", "trade", symbols=[SYMBOL], policy="conflate", on_loss="yield"):
            yield sim, kraken


@pytest.mark.parametrize("mirror", [False, True])
async def test_every_input_is_written_once_with_the_digest_of_all_that_was_told(tmp_path: Path, mirror: bool) -> None:
    run = await record_run(tmp_path / "new" / "tape", seed=1, seconds=15, mirror=mirror)
    found = contents_of(run.directory)
    assert found.inputs == found.last_n == run.recording.n == run.recording.flushed_n == run.recording.synced_n
    assert found.frames == run.report.frames > 1000
    assert run.report.reconnects >= 2
    (end,) = found.told("end")
    assert (end["n"], end["frames"], end["closed"]) == (run.recording.n, run.report.frames, "closed")
    assert (end["events"], end["event_digest"]) == (run.report.events, run.report.event_digest)
    assert end["state_digest"] == run.report.state_digest
    assert found.told("digest")[-1] == [run.report.events, run.report.event_digest]
    assert replayed(tmp_path / "new" / "tape").report(1.0).event_digest == run.report.event_digest
    assert run.recording.state == "closed"
    assert (run.recording.gaps, run.recording.lost, run.recording.failures) == (0, 0, 0)


async def test_each_run_begins_a_segment_and_the_journal_stays_the_same(tmp_path: Path) -> None:
    for _ in range(3):
        await record_run(tmp_path, seed=2, seconds=1)
    heads = contents_of(tmp_path).heads
    assert [(head.segment, head.run, head.is_first, head.n) for head in heads] == [
        (1, 1, True, 0),
        (2, 2, True, 0),
        (3, 3, True, 0),
    ]
    assert len({head.journal for head in heads}) == 1


async def test_segments_end_by_size_and_each_is_given_to_the_hook(tmp_path: Path) -> None:
    given: list[Path] = []
    async with running(
        JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, segment_bytes=20_000, on_sealed=given.append)
    ) as (
        sim,
        kraken,
    ):
        await sim.advance(30)
    found = contents_of(tmp_path)
    sizes = [segment.path.stat().st_size for segment in segments(tmp_path)]
    assert len(sizes) > 3
    assert all(20_000 <= size < 30_000 for size in sizes[:-1])
    assert [end["closed"] for end in found.told("end")] == ["rotated"] * (len(sizes) - 1) + ["closed"]
    assert [head.is_first for head in found.heads] == [True] + [False] * (len(sizes) - 1)
    assert given == [segment.path for segment in segments(tmp_path)]
    recording = kraken.recording()
    assert recording is not None
    assert (recording.segments, recording.written_bytes) == (len(sizes), sum(sizes))
    assert found.inputs == recording.n


async def test_segments_end_by_time(tmp_path: Path) -> None:
    async with running(JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, segment_seconds=5)) as (sim, _):
        await sim.advance(21)
    assert len(segments(tmp_path)) == 5
    begun = [head.received_ns for head in contents_of(tmp_path).heads]
    assert all(4.9e9 < after - before < 6.2e9 for before, after in pairwise(begun))


async def test_ended_segments_are_sealed_before_the_hook_has_them_and_the_last_one_by_the_next_recorder(
    tmp_path: Path,
) -> None:
    given: list[tuple[int, bool]] = []

    def see(path: Path) -> None:
        number = int(path.name[:8])
        given.append((number, (tmp_path / index_name(number)).exists()))

    async with running(JournalOptions(directory=tmp_path, segment_seconds=5, on_sealed=see)) as (sim, _):
        await sim.advance(8)
        await eventually(lambda: given)
    assert given == [(1, True), (2, False)]
    found = contents_of(tmp_path)
    async with running(JournalOptions(directory=tmp_path)) as (sim, _):
        await eventually((tmp_path / index_name(2)).exists)
    assert contents_of(tmp_path).inputs >= found.inputs
    assert not (tmp_path / index_name(3)).exists()


async def test_a_hook_that_raises_is_counted_and_recording_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(path: Path) -> None:
        raise RuntimeError(path.name)

    async with running(
        JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, segment_seconds=2, on_sealed=fail)
    ) as (sim, kraken):
        await sim.advance(7)
    recording = kraken.recording()
    assert recording is not None
    assert recording.hook_failures == recording.segments == 4
    assert contents_of(tmp_path).inputs == recording.n
    assert "on_sealed raised" in caplog.text


async def test_the_oldest_segments_go_side_cars_and_all_beyond_a_size(tmp_path: Path) -> None:
    await record_run(
        JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, segment_bytes=20_000), seed=3, seconds=10
    )
    first = segments(tmp_path)[0]
    for name in (index_name(first.number), state_name(first.number, 17)):
        (tmp_path / name).write_bytes(b"x" * 100)
    await record_run(
        JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, segment_bytes=20_000, keep_bytes=100_000),
        seed=3,
        seconds=10,
    )
    left = segments(tmp_path)
    assert left[0].number > 3
    assert sum(segment.path.stat().st_size for segment in left) <= 100_000
    assert set(os.listdir(tmp_path)) == {"lock"} | {segment.path.name for segment in left}


async def test_what_is_too_old_goes_but_never_the_segment_that_is_written(tmp_path: Path) -> None:
    options = JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, segment_seconds=5, keep_seconds=12)
    async with running(options) as (sim, kraken):
        await sim.advance(60)
    recording = kraken.recording()
    assert recording is not None
    left = segments(tmp_path)
    assert recording.removed == recording.segments - len(left) > 5
    assert 2 <= len(left) <= 5
    found = contents_of(tmp_path)
    assert not found.heads[0].is_first
    # Where old segments go, each begins with all that the core knew, so that it is of use without them.
    assert len(found.told("state")) == len(left)
    assert found.last_n == recording.n
    assert replayed(tmp_path).is_exact


@pytest.mark.parametrize(("sync", "least", "most"), [("always", 20, 1000), ("interval", 2, 4), ("never", 0, 0)])
async def test_fsync_is_called_as_the_policy_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: Any, least: int, most: int
) -> None:
    disk = use_disk(monkeypatch)
    async with running(JournalOptions(directory=tmp_path, seal=False, flush_every=0.1, sync=sync, sync_every=3600)) as (
        sim,
        kraken,
    ):
        await sim.advance(3)
    recording = kraken.recording()
    assert recording is not None
    assert least <= disk.calls["sync"] <= most
    assert recording.syncs == disk.calls["sync"]
    assert recording.flushed_n == recording.n
    assert recording.synced_n == (0 if sync == "never" else recording.n)
    if sync == "always":
        assert disk.calls["sync"] == disk.calls["write"] - 1  # the first line of a segment goes with its first block


async def test_no_secret_of_a_url_is_written(tmp_path: Path) -> None:
    async with Simulator(symbols=[SYMBOL], seed=5) as sim:
        secret = "wss://ws.simulator/v2?token=hunter2"

        async def connector(url: str, listener: Any) -> Any:
            assert url == secret
            return await sim.connector(url.partition("?")[0], listener)

        kraken = Client(Endpoints(public=secret), clock=sim.clock, connector=connector, journal=tmp_path)
        async with kraken:
            await sim.advance(1)
    (segment,) = segments(tmp_path)
    text, data = b"", segment.path.read_bytes()
    while data:
        decompressor = ZstdDecompressor()
        text += decompressor.decompress(data)
        data = decompressor.unused_data
    assert b"wss://ws.simulator/v2" in text
    assert b"hunter2" not in text


class Name(str):
    """A text that JSON has no way to write."""


async def test_an_input_that_cannot_be_written_is_a_gap_that_is_told(tmp_path: Path) -> None:
    async with running(JournalOptions(directory=tmp_path, seal=False, flush_every=0.1)) as (sim, kraken):
        await sim.advance(2)
        kraken.core.reconnect(Name("public"), "asked for", Stamp("", 0, sim.clock.now_ns(), sim.clock.monotonic_ns()))
        await sim.advance(3)
    found = contents_of(tmp_path)
    (gap,) = found.told("gap")
    assert gap["reason"] == "an input that cannot be written"
    recording = kraken.recording()
    assert recording is not None
    assert (recording.gaps, found.last_n) == (1, recording.n)
    assert found.inputs + recording.lost == recording.n
    assert recording.lost == gap["last"] - gap["first"] + 1 < 200
    player = replayed(tmp_path)
    assert player.different == 0
    assert all(hole.is_bridged for hole in player.holes)


async def test_a_connection_may_be_named_by_any_text(tmp_path: Path) -> None:
    async with running(JournalOptions(directory=tmp_path, seal=False)) as (sim, kraken):
        await sim.advance(1)
        kraken.reconnect(Name("public"))
        await sim.advance(2)
        with pytest.raises(UsageError, match="no connection"):
            kraken.reconnect(7)  # type: ignore[arg-type]  # as a user may
    assert kraken.recording().gaps == 0  # type: ignore[union-attr]  # it records
    assert replayed(tmp_path).different == 0


def test_nonsense_is_refused() -> None:
    for wrong in (
        {"directory": ""},
        {"segment_bytes": 0},
        {"segment_bytes": 1e6},
        {"segment_seconds": 0},
        {"keep_seconds": float("inf")},
        {"keep_bytes": True},
        {"sync": "sometimes"},
        {"sync_every": -1.0},
        {"when_full": "panic"},
        {"on_sealed": "upload"},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            JournalOptions(**({"directory": "tape"} | wrong))
    with pytest.raises(UsageError, match="journal must be a directory"):
        Client(journal=3)  # type: ignore[arg-type]  # that is what is tried
