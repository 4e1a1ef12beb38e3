"""A book as of one moment: frozen, and safe in any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from krakenwire.book.figures import BookSide, Figures
from krakenwire.errors import UsageError
from krakenwire.events import Level

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BookSnapshot", "import_numpy", "level_count"]


def import_numpy() -> object:
    """NumPy, which only `to_numpy` needs."""
    try:
        import numpy
    except ImportError as error:
        raise UsageError("to_numpy needs NumPy: pip install 'krakenwire[numpy]'") from error
    return numpy


def level_count(levels: int | None, depth: int) -> int:
    """How many levels `levels` asks for of a book of `depth`: None is all."""
    if levels is None:
        return depth
    if levels < 1:
        raise UsageError(f"levels must be positive, got {levels}")
    return min(levels, depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot(Figures):
    """A book as of one moment.

    Attributes:
        symbol: whose book it is.
        depth: levels a side that the book keeps; the snapshot may have been asked to have fewer.
        bids, asks: best first.
        checksum: CRC32 of the book's top ten, ours; None before the first snapshot.
        exchange_ns: Kraken's time of the last message applied, or None.
        received_ns: when that message was received, UTC in nanoseconds, or None.
        synced: whether the book was synced at that moment.
    """

    symbol: str
    depth: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    checksum: int | None
    exchange_ns: int | None
    received_ns: int | None
    synced: bool

    def _best(self, side: BookSide, n: int) -> tuple[Level, ...]:
        return (self.bids if side == "bids" else self.asks)[:n]

    def to_numpy(self, levels: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bids and asks, best first, as float64 arrays of shape (n, 2): price, qty. Floats are not exact.

        Raises:
            UsageError: NumPy is not installed, or `levels` is not positive.
        """
        import_numpy()
        import numpy as np

        n = level_count(levels, self.depth)
        bids, asks = (
            np.array([(float(price), float(qty)) for price, qty in side[:n]], dtype=np.float64).reshape(-1, 2)
            for side in (self.bids, self.asks)
        )
        return bids, asks
