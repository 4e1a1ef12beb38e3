"""A book as it was: what was published then, whatever is read for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.processes import Ended
from helpers.sealed import moments, seal_all
from helpers.segmented import save_segments
from helpers.taped import SYMBOLS, live
from krakenwire.book import BookSnapshot, format_timestamp
from krakenwire.cli.app import app
from krakenwire.errors import UsageError
from krakenwire.journal.files.directory import segments
from krakenwire.journal.playing import seeking
from krakenwire.journal.playing.seeking import place_before, play_to
from krakenwire.journal.tools import book_at as looking
from krakenwire.journal.tools.book_at import BookThen, book_at, find_book
from krakenwire.journal.tools.importing import import_frames

from .conftest import SECONDS

CAPTURE = "v2_book10_btcusd_2026.frames.jsonl"


def run(*arguments: str | Path) -> Ended:
    """As in a process of its own, which takes a second to start."""
    ended = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "120", "TERM": "dumb"})
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


def looked_up(directory: Path, when: int) -> list[BookThen | str]:
    """Every book then, or why there is none."""
    found: list[BookThen | str] = []
    for symbol in SYMBOLS:
        try:
            found.append(find_book(directory, when, symbol))
        except UsageError as error:
            found.append(str(error))
    return found


def test_it_is_the_same_sealed_or_not(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    when = moments(tape, 12, SECONDS)
    before = [looked_up(tape, each) for each in when]
    seal_all(tape)
    assert [looked_up(tape, each) for each in when] == before
    monkeypatch.setattr(looking, "_play", lambda *_: None)  # the long way round: by a player that compares everything
    assert [looked_up(tape, each) for each in when] == before
    books = [book for found in before for book in found if isinstance(book, BookThen)]
    assert {book.status for book in books} >= {"synced"}
    assert all(book.is_exact for book in books)
    assert all(book.snapshot.bids[0] < book.snapshot.asks[0] for book in books if book.status == "synced")


def test_only_what_is_near_is_read(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal_all(tape)
    (when,) = moments(tape, 1, SECONDS * 0.9)
    read: list[int] = []
    real = seeking.items_from

    def counted(*arguments: Any) -> Any:
        for item in real(*arguments):
            read.append(getattr(item, "last_n", 0) - item.n)
            yield item

    monkeypatch.setattr(looking, "items_from", counted)
    then = find_book(tape, when, "BTC/USD")
    assert 0 < sum(each for each in read if each > 0) < then.n / 4


def test_unsynced_book_tells_why_and_its_last_levels(tape: Path) -> None:
    seal_all(tape)
    unsynced = [
        then
        for when in moments(tape, 150, SECONDS)
        for then in looked_up(tape, when)
        if isinstance(then, BookThen) and then.status == "unsynced"
    ]
    assert unsynced, "choose another seed"
    for then in unsynced:
        assert then.reason
        assert not then.snapshot.synced
        assert not then.is_proven
    assert any(then.snapshot.bids for then in unsynced)


def test_imported_frames_have_books_too(captures: Path, tmp_path: Path) -> None:
    import_frames([str(captures / CAPTURE)], tmp_path / "imported")
    directory = tmp_path / "imported"
    seal_all(directory)
    core = play_to(directory, 1 << 62).core
    book = book_at(directory, 1 << 62, "BTC/USD")
    assert isinstance(book, BookSnapshot)
    assert book.synced
    state = core.sessions[0].books.get("BTC/USD")
    assert state is not None
    assert (list(book.bids), list(book.asks)) == (state.levels("bids"), state.levels("asks"))
    assert book.checksum == state.checksum


def test_what_is_not_there_is_named(tape: Path) -> None:
    (when,) = moments(tape, 1, SECONDS * 0.5)
    with pytest.raises(UsageError, match=r"no book of 'DOGE/USD' at 20.*there were books of .*BTC/USD"):
        book_at(tape, when, "DOGE/USD")
    with pytest.raises(UsageError, match="begins later"):
        book_at(tape, 1, "BTC/USD")
    with pytest.raises(UsageError, match="no journal"):
        book_at(tape.parent, when, "BTC/USD")


def test_each_run_of_a_program_has_books_of_its_own(tmp_path: Path) -> None:
    """Between two runs it is the end of the first that was published last; the second begins with nothing."""
    first, _ = asyncio.run(live(2, 8))
    directory = tmp_path / "tape"
    save_segments(first, directory, 1)
    (begin,) = segments(directory)
    end = play_to(directory, 1 << 62)
    second, _ = asyncio.run(live(4, 8))
    save_segments(second, directory, 1, run=2, first=2, later_ns=60 * 10**9)
    assert place_before(directory, received_ns=begin.started_ns + 10**9).segment.number == 1
    assert play_to(directory, begin.started_ns + 59 * 10**9).core.n == end.core.n
    seal_all(directory)
    assert [segment.number for segment in segments(directory)] == [1, 2]
    place = place_before(directory, number=2)
    assert (place.segment.number, place.offset, place.core) == (2, 0, None)


# --- the command ------------------------------------------------------------------------------------------------------


def test_command_seals_and_shows(tape: Path) -> None:
    (when,) = moments(tape, 1, SECONDS * 0.5)
    at = format_timestamp(when)
    before = find_book(tape, when, "BTC/USD")
    sealed = run("journal", "seal", tape, "--json")
    assert (sealed.code, sealed.err) == (0, "")
    files = json.loads(sealed.out)["sealed"]
    assert [file["different"] for file in files] == [0, 0, 0]
    assert run("journal", "seal", tape).out.endswith("nothing to seal\n")
    shown = run("journal", "book-at", at, "BTC/USD", tape, "--depth", "2", "--json")
    found = json.loads(shown.out)
    assert shown.code == (0 if before.status == "synced" else 1)
    assert found["checksum"] == before.snapshot.checksum
    assert found["n"] == before.n
    assert found["bids"] == [[f"{level.price:f}", f"{level.qty:f}"] for level in before.snapshot.bids[:2]]
    text = run("journal", "book-at", at, "BTC/USD", tape, "--depth", "2").out
    assert text.startswith(f"BTC/USD  depth {before.snapshot.depth}")
    assert f"input {before.n:,}" in text
    assert len(text.splitlines()) == 8


def test_command_says_what_is_wrong(tape: Path) -> None:
    at = format_timestamp(segments(tape)[0].started_ns + 10**9)
    for arguments, words in (
        (("yesterday", "BTC/USD", tape), "TIME: expected a time with its zone"),
        ((at, "BTC/USD", tape / "nowhere"), "nowhere"),
        (("2001-01-01T00:00:00Z", "BTC/USD", tape), "begins later"),
    ):
        ended = run("journal", "book-at", *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert words in ended.err
    second = segments(tape)[1]
    data = bytearray(second.path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    second.path.write_bytes(data)
    ended = run("journal", "seal", tape)
    assert ended.code == 1
    assert "left as it is, for it is damaged" in ended.out
