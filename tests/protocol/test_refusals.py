"""What Kraken's words of refusal ask of us."""

from __future__ import annotations

import pytest

from krakenwire.protocol.wire.refusals import Refusal, classify


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        ("Already subscribed", Refusal.ALREADY),
        ("Exceeded msg rate", Refusal.RATE),
        ("EGeneral:Too many requests", Refusal.RATE),
        ("EAPI:Rate limit exceeded", Refusal.RATE),
        ("EService: Throttled: 1700000000", Refusal.RATE),
        ("EService:Throttled", Refusal.RATE),
        ("EService:Unavailable", Refusal.LATER),
        ("EService:Busy", Refusal.LATER),
        ("EGeneral:Internal error[:X]", Refusal.LATER),
        ("Currency pair not supported XLM/GBP", Refusal.FINAL),
        ("Subscription depth not supported", Refusal.FINAL),
        ("words that nobody saw before", Refusal.FINAL),
        ("", Refusal.FINAL),
    ],
)
def test_text_is_classified_by_its_prefix(error: str, refusal: Refusal) -> None:
    assert classify(error) is refusal
