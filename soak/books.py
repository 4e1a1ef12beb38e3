"""Whether every book that was given out as proven was the exchange's at that time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from .records import Served, Shelf, Truth, read_served, read_true

__all__ = ["Believed", "BooksVerdict", "compare", "compare_all"]


class Wrong(NamedTuple):
    """A book that was given out as proven and was not the exchange's."""

    name: str
    exchange_ns: int
    received_ns: int
    why: str


class Believed(NamedTuple):
    """A message at which something had to be found, and with which a book was given out as proven."""

    connection: str
    symbol: str
    frame: int
    received_ns: int


class BooksVerdict(NamedTuple):
    """What came of the comparison.

    Attributes:
        compared: books that were given out as proven.
        altered: of these, right ones under a time that a fault had altered.
        wrong: the rest that was not right.
        believed: those given out with one of the messages at which something had to be found.
    """

    compared: int
    altered: int
    wrong: list[Wrong]
    believed: list[Believed]


Window = tuple[int, int]
"""From when to when times were altered, UTC nanoseconds."""


def compare(
    name: str,
    truth: Sequence[Truth],
    served: Iterable[Served],
    altered: Sequence[Window],
    *,
    exact: bool,
    suspect: Collection[int] = (),
) -> BooksVerdict:
    """Compare what one connection gave out of one symbol with the exchange's books.

    A book with the time of a message must be the exchange's book of that time, and books follow each other as the
    exchange's did. Where a fault had altered the time, it must be a book that the exchange had, no older than the last.

    Args:
        name: of what is compared, to name it in what is wrong.
        truth: the exchange's books, in order.
        served: what was given out, in order.
        altered: when times were altered.
        exact: an update must bear exactly the time of a change of the top ten, as at depth 10 it does.
        suspect: CRC-32 of each message at which something had to be found.
    """
    _, symbol, connection, _ = name.split("=")
    believed: list[Believed] = []
    times = [each.exchange_ns for each in truth]
    places: dict[bytes, list[int]] = defaultdict(list)
    for place, true in enumerate(truth):
        places[true.digest].append(place)
    compared = moved = last = 0
    wrong: list[Wrong] = []
    for each in served:
        compared += 1
        if each.frame in suspect:
            believed.append(Believed(connection, symbol.replace("_", "/"), each.frame, each.received_ns))
        first = bisect_left(times, each.exchange_ns)
        after = bisect_right(times, each.exchange_ns)
        if first == after and not (exact and not each.is_snapshot):
            first = after - 1  # between two changes: the book is that of the one before
        here = [place for place in range(max(first, 0), after) if truth[place].digest == each.digest]
        found = next((place for place in here if place >= last), None)
        if found is not None:
            last = found
            continue
        if any(start <= each.received_ns <= end for start, end in altered):
            known = places.get(each.digest, [])
            later = bisect_left(known, last)
            if later < len(known):
                moved += 1
                last = known[later]
                continue
        why = "of no time" if each.digest not in places else "of another time" if not here else "older than the last"
        wrong.append(Wrong(name, each.exchange_ns, each.received_ns, why))
        if here:
            last = here[0]
    return BooksVerdict(compared, moved, wrong, believed)


def compare_all(
    exchange: Shelf, client: Shelf, altered: Sequence[Window], suspect: Collection[int], *, is_mirrored: bool
) -> BooksVerdict:
    """Compare everything that was written down.

    Args:
        exchange: what was.
        client: what was given out.
        altered: when times were altered.
        suspect: CRC-32 of each message at which something had to be found.
        is_mirrored: an update may lead to a book that came by a snapshot of the other connection, with its time.
    """
    compared = moved = 0
    wrong: list[Wrong] = []
    believed: list[Believed] = []
    true: tuple[str, list[Truth]] = ("", [])
    for name in client.names():
        what, _, rest = name.partition("=")
        if what != "served":
            continue
        symbol, _, depth = rest.split("=")
        if true[0] != symbol:
            true = symbol, read_true(exchange.data(f"true={symbol}"))
        served = read_served(client.data(name))
        verdict = compare(name, true[1], served, altered, exact=depth == "10" and not is_mirrored, suspect=suspect)
        compared += verdict.compared
        moved += verdict.altered
        wrong += verdict.wrong
        believed += verdict.believed
    return BooksVerdict(compared, moved, wrong, believed)
