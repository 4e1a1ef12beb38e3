"""Kraken's REST API over an exchange: pure, a request in and an answer out."""

__all__: list[str] = []
