"""The books that a core shows its readers."""

from __future__ import annotations

from krakenwire.book import BookState
from krakenwire.protocol.core import Core

__all__ = ["shown_books"]


def shown_books(core: Core) -> list[BookState]:
    """Those that somebody wants; of a core that only looks on, all. Each once."""
    wanted = [core.shown_book(placement) for key, placement in core.placements().items() if key.channel == "book"]
    if not wanted:
        wanted = [session.books.get(symbol) for session in core.sessions for symbol in session.books]
    return list({id(state): state for state in wanted if state is not None}.values())
