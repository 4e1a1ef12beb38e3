"""A forensic bundle: one book that was found wrong, with everything that is needed to find it wrong again.

A bundle is a directory. `bundle.json` says what was found, where and by which version; `frames.jsonl` is a recording
like any other, which `krakenwire replay` plays to the same mismatch: the instrument's precisions, the subscription,
the levels as they were before the first of the frames that are kept, written as a snapshot, and then these frames,
byte for byte. There is nothing in it but public market data.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

import msgspec

from krakenwire._version import __version__
from krakenwire.book import KERNEL, BookState
from krakenwire.book.synthesis import book_frame
from krakenwire.errors import UsageError
from krakenwire.events import BookInvalidated, Instrument, Level

__all__ = [
    "BUNDLE_FILE",
    "FRAMES_FILE",
    "Before",
    "Bundle",
    "KeptFrame",
    "book_before",
    "bundles_in",
    "describe",
    "is_bundle",
    "read_bundle",
    "write_bundle",
]

BUNDLE_FILE = "bundle.json"
FRAMES_FILE = "frames.jsonl"
FORMAT = 1
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z-[A-Za-z0-9-]+")
_MAX_SYMBOL = 40
_NS = 1_000_000_000

_Sides = tuple[list[tuple[str, str]], list[tuple[str, str]]]


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """The book before the first frame that is kept; numbers as they were on the wire.

    Attributes:
        bids, asks: price and quantity of every level, best first.
        checksum: Kraken's for it, with which ours agreed.
        exchange_ns: Kraken's time of the message before, or None.
    """

    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    checksum: int | None
    exchange_ns: int | None


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What `bundle.json` holds.

    Attributes:
        format: of this file.
        symbol, depth, reason, expected, computed, text, normalised_text: as in `BookInvalidated`.
        connection, epoch, seq, n: of the frame at which it was found.
        received_ns: when that was received, UTC in nanoseconds; `at` is the same for people.
        price_precision, qty_precision: of the instrument, or None if it was not known.
        frames: how many received frames are kept; the last is the one at which it was found.
        before: the book before the first of them; None if that is a snapshot, or if it is not known.
        is_whole: the frames were played when the bundle was made, and showed what was found.
        krakenwire, kernel, python: versions of what found it.
    """

    format: int
    symbol: str
    depth: int
    reason: str
    at: str
    expected: int | None
    computed: int | None
    text: str | None
    normalised_text: str | None
    connection: str
    epoch: int
    seq: int
    n: int
    received_ns: int
    price_precision: int | None
    qty_precision: int | None
    frames: int
    is_whole: bool
    before: Before | None
    krakenwire: str
    kernel: str
    python: str

    def matches(self, found: BookInvalidated) -> bool:
        """Whether `found` is what the bundle was written for."""
        return (found.symbol, found.reason, found.expected, found.computed) == (
            self.symbol,
            self.reason,
            self.expected,
            self.computed,
        )


class KeptFrame(msgspec.Struct, frozen=True):
    """A frame as it was received, with its number on its connection; `synthesised` ones are of a mirror's making."""

    frame: bytes
    received_ns: int
    seq: int
    synthesised: bool = False


def describe(
    found: BookInvalidated,
    instrument: Instrument | None,
    frames: Sequence[KeptFrame],
    before: Before | None,
    *,
    is_whole: bool,
) -> Bundle:
    """The bundle of what was `found`.

    Args:
        found: the event.
        instrument: of its symbol, if known.
        frames: those kept, the one at which it was found included.
        before: the book before the first of them.
        is_whole: they were played, and showed what was found.
    """
    stamp = found.stamp
    return Bundle(
        format=FORMAT,
        symbol=found.symbol,
        depth=found.depth,
        reason=found.reason,
        at=_time_text(stamp.received_ns),
        expected=found.expected,
        computed=found.computed,
        text=found.text,
        normalised_text=found.normalised_text,
        connection=stamp.connection,
        epoch=stamp.epoch,
        seq=found.seq,
        n=found.n,
        received_ns=stamp.received_ns,
        price_precision=None if instrument is None else instrument.price_precision,
        qty_precision=None if instrument is None else instrument.qty_precision,
        frames=len(frames),
        is_whole=is_whole,
        before=before,
        krakenwire=__version__,
        kernel=KERNEL,
        python=platform.python_version(),
    )


def book_before(state: BookState) -> Before:
    """The book as it is kept in a bundle."""

    def texts(levels: list[Level]) -> list[tuple[str, str]]:
        return [(format(price, "f"), format(qty, "f")) for price, qty in levels]

    return Before(
        bids=texts(state.levels("bids")),
        asks=texts(state.levels("asks")),
        checksum=state.checksum,
        exchange_ns=state.exchange_ns,
    )


def write_bundle(directory: Path, bundle: Bundle, instrument: Instrument | None, frames: Iterable[KeptFrame]) -> Path:
    """Write a bundle under `directory`; it has its name only once it is complete.

    Returns:
        Its own directory, `2026-11-22T14-03-07.123Z-BTC-USD-checksum`.

    Raises:
        OSError: it cannot be written; nothing of it is left then.
    """
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=directory))
    try:
        partial.chmod(0o755)  # made for its owner only; a bundle is no secret, and somebody else is to look at it
        (partial / BUNDLE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(bundle), indent=1) + b"\n")
        with (partial / FRAMES_FILE).open("wb") as file:
            file.writelines(line + b"\n" for line in _lines(bundle, instrument, frames))
        return _named(partial, directory, bundle)
    except BaseException:
        rmtree(partial, ignore_errors=True)
        raise


def is_bundle(path: str | Path) -> bool:
    """Whether there is a bundle at `path`."""
    return os.path.isfile(os.path.join(path, BUNDLE_FILE))


def bundles_in(directory: Path) -> list[Path]:
    """The bundles in `directory`, oldest first: those whose names are of our making."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name) and is_bundle(path))


def read_bundle(path: str | Path) -> Bundle:
    """What the bundle at `path` says.

    Raises:
        UsageError: it cannot be read, or is none; says why.
    """
    file = os.path.join(path, BUNDLE_FILE)
    try:
        with open(file, "rb") as opened:
            bundle = msgspec.json.decode(opened.read(), type=Bundle)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"{file} is not what a bundle has there: {error}") from error
    if bundle.format != FORMAT:
        raise UsageError(f"{file} has format {bundle.format}; this version reads {FORMAT}")
    return bundle


# --- inside ----------------------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder(decimal_format="number").encode


def _lines(bundle: Bundle, instrument: Instrument | None, frames: Iterable[KeptFrame]) -> Iterable[bytes]:
    about = f"{bundle.symbol} at depth {bundle.depth}: {bundle.reason}; {BUNDLE_FILE} says more"
    yield msgspec.json.encode({"about": about})
    if instrument is not None:
        yield _made("the instrument's precisions", _instrument_frame(instrument))
    yield _made("the subscription", _ack(bundle))
    if bundle.before is not None:
        yield _made("the book before the frames below", _snapshot(bundle, bundle.before))
    for kept in frames:
        head: dict[str, object] = {"rx_ns": kept.received_ns, "seq": kept.seq}
        if kept.synthesised:
            head["made"] = "what a mirror published when its leader changed"
        yield _line(head, kept.frame)


def _made(what: str, frame: bytes) -> bytes:
    return _line({"made": what}, frame)


def _line(head: dict[str, object], frame: bytes) -> bytes:
    """One line; the frame as the JSON it is, or where that would break the line, as text."""
    if b"\n" in frame or b"\r" in frame:
        return msgspec.json.encode(head | {"raw": frame.decode(errors="replace")})
    return b'%b,"frame":%b}' % (msgspec.json.encode(head)[:-1], frame)


def _instrument_frame(instrument: Instrument) -> bytes:
    kept = msgspec.structs.asdict(instrument)
    pair = {name: value for name, value in kept.items() if value is not None and name not in _NOT_OF_A_PAIR}
    return _encode({"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": [pair]}})


_NOT_OF_A_PAIR = frozenset({"type", "stamp", "n", "seq"})


def _ack(bundle: Bundle) -> bytes:
    result = {"channel": "book", "symbol": bundle.symbol, "depth": bundle.depth}
    return _encode({"method": "subscribe", "result": result, "success": True})


def _snapshot(bundle: Bundle, before: Before) -> bytes:
    bids, asks = (
        ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (before.bids, before.asks)
    )
    return book_frame("snapshot", bundle.symbol, (bids, asks), before.checksum or 0, before.exchange_ns)


def _time_text(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // _NS, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000 % 1000:03}Z"


def _named(partial: Path, directory: Path, bundle: Bundle) -> Path:
    """Give it its name; another at the same millisecond gets a number behind it."""
    symbol = re.sub(r"[^A-Za-z0-9]+", "-", bundle.symbol)[:_MAX_SYMBOL]
    stem = f"{bundle.at.replace(':', '-')}-{symbol}-{bundle.reason}"
    for number in range(1, 1000):
        path = directory / (stem if number == 1 else f"{stem}-{number}")
        if not path.exists():
            partial.rename(path)
            return path
    raise FileExistsError(f"there are too many bundles named {stem}")
