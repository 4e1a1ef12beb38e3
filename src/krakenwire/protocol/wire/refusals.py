"""What a refused request means: Kraken's texts, matched by prefix (PROTOCOL 9.7), the raw text kept."""

from __future__ import annotations

from enum import Enum

__all__ = ["Refusal", "classify"]


class Refusal(Enum):
    """What to do about a refusal."""

    ALREADY = "already"
    """It holds already: Kraken has what was asked for."""
    RATE = "rate"
    """We send too much: slower, and again."""
    LATER = "later"
    """Not now: again after a wait."""
    FINAL = "final"
    """Never: the caller is told."""


_BY_PREFIX = (
    ("Already subscribed", Refusal.ALREADY),
    ("Exceeded msg rate", Refusal.RATE),
    ("EGeneral:Too many requests", Refusal.RATE),
    ("EAPI:Rate limit exceeded", Refusal.RATE),
    ("EService: Throttled", Refusal.RATE),
    ("EService:Throttled", Refusal.RATE),
    ("EService:Unavailable", Refusal.LATER),
    ("EService:Busy", Refusal.LATER),
    ("EGeneral:Internal error", Refusal.LATER),
)


def classify(error: str) -> Refusal:
    """What Kraken's `error` text asks of us; a text that is not known is final, so that it is seen."""
    for prefix, refusal in _BY_PREFIX:
        if error.startswith(prefix):
            return refusal
    return Refusal.FINAL
