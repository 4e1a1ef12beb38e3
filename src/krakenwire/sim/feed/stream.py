"""What can be subscribed."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Stream"]


class Stream(NamedTuple):
    """A channel, and where it has them a symbol and a variant.

    `variant` is the depth of a book or of level3, the interval of ohlc and the event trigger of a ticker.
    """

    channel: str
    symbol: str | None = None
    variant: int | str | None = None

    @property
    def number(self) -> int:
        """The depth of a book or of level3, or the interval of candles."""
        return self.variant if isinstance(self.variant, int) else 0
