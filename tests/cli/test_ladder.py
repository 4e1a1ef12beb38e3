"""The ladder shows what the book says, and nothing as proven that is not."""

from __future__ import annotations

import pytest
from rich.console import Console

from helpers.frames import v2_element, v2_frame, walk
from krakenwire.book import Book, Books
from krakenwire.cli.ladder import BAR_WIDTH, OTHER_LINES, View, rows_that_fit

BIDS = [("99.5", "2.00"), ("99.0", "1.00")]
ASKS = [("100.5", "4.00"), ("101.0", "0.00000001"), ("102.0", "3.00")]


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def book(books: Books) -> Book:
    book = Book("BTC/USD", 10)
    book.attach(books.add("BTC/USD", 10))
    return book


def fill(books: Books, checksum: int | None = None) -> None:
    from helpers.frames import Model

    right = Model("BTC/USD", 10).apply(BIDS, ASKS, snapshot=True)
    frame = v2_frame("snapshot", v2_element("BTC/USD", BIDS, ASKS, right if checksum is None else checksum))
    books.apply(frame, [])


def drawn(view: View, rows: int) -> list[str]:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(view.as_ladder(rows))
    return capture.get().splitlines()


def test_asks_stand_above_bids_and_the_best_are_in_the_middle(books: Books, book: Book) -> None:
    fill(books)
    lines = drawn(View.of(book, 10), 3)
    assert [line.split()[:1] for line in lines[2:]] == [
        *(["102.0"], ["101.0"], ["100.5"], ["--"], ["99.5"], ["99.0"], []),
    ]


def test_bars_are_as_long_as_the_quantities(books: Books, book: Book) -> None:
    fill(books)
    bars = {line.split()[0]: line.count("█") for line in drawn(View.of(book, 10), 3) if line.strip()}
    assert (bars["100.5"], bars["99.5"], bars["99.0"], bars["101.0"]) == (BAR_WIDTH, BAR_WIDTH // 2, BAR_WIDTH // 4, 0)


def test_synced_book_says_how_far_it_is_proven(books: Books, book: Book) -> None:
    fill(books)
    view = View.of(book, 10)
    lines = drawn(view, 3)
    assert view.is_synced
    assert "synced, top 10 proven, checksum" in lines[0]
    assert lines[5].startswith("-- spread 1.0  mid 100.00  imbalance")


def test_unsynced_book_says_why_and_shows_the_last_levels(books: Books, book: Book) -> None:
    fill(books, checksum=1)
    view = View.of(book, 10)
    lines = drawn(view, 3)
    assert not view.is_synced
    assert "NOT SYNCED: checksum" in lines[0]
    assert "fetched again" in lines[5]
    assert "not synced: checksum" in view.as_line()
    found = view.as_object()
    assert (found["synced"], found["bids"], found["mid"], found["imbalance"]) == (False, (), None, None)


def test_book_before_its_first_snapshot_can_be_drawn(book: Book) -> None:
    view = View.of(book, 10)
    assert "NOT SYNCED: empty" in drawn(view, 3)[0]
    assert view.as_object()["checksum"] is None


def test_height_does_not_depend_on_the_levels_there_are(books: Books, book: Book) -> None:
    empty = len(drawn(View.of(book, 10), 5))
    fill(books)
    assert len(drawn(View.of(book, 10), 5)) == empty


@pytest.mark.parametrize(
    ("height", "levels", "rows"), [(24, 10, 10), (24, 25, 10), (50, 10, 10), (15, 10, 6), (2, 10, 1)]
)
def test_as_many_levels_are_shown_as_fit_on_the_terminal(height: int, levels: int, rows: int, book: Book) -> None:
    assert rows_that_fit(levels, height) == rows
    assert len(drawn(View.of(book, rows), rows)) == 2 * rows + OTHER_LINES


def test_only_the_levels_asked_for_are_shown() -> None:
    books = Books()
    book = Book("BTC/USD", 25)
    book.attach(books.add("BTC/USD", 25))
    (kind, bids, asks, checksum, _), *_ = walk(2, depth=25)
    books.apply(v2_frame(kind, v2_element("BTC/USD", bids, asks, checksum)), [])
    assert len(View.of(book, 4).as_object()["bids"]) == 4
