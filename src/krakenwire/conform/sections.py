"""The sections of PROTOCOL.md that rules come from, and their order."""

from __future__ import annotations

__all__ = ["SECTIONS", "TAGS", "section_key"]

SECTIONS = {
    "1": "endpoints",
    "2.1": "client to server",
    "2.2": "answers",
    "2.3": "channel data",
    "2.4": "subscribe and unsubscribe",
    "2.5": "connection lifecycle",
    "3.1": "status",
    "3.2": "heartbeat",
    "3.3": "ping and pong",
    "3.4": "ticker",
    "3.5": "book",
    "3.6": "level3",
    "3.7": "trade",
    "3.8": "ohlc",
    "3.9": "instrument",
    "4.1": "executions",
    "4.2": "balances",
    "5": "trading methods",
    "5.1": "add_order",
    "5.2": "amend_order",
    "5.4": "cancel_order",
    "5.5": "cancel_all",
    "6.1": "checksum of the book",
    "6.2": "checksum of level3",
    "8": "REST envelope",
    "8.1": "REST signatures",
    "8.2": "tokens",
    "8.3": "public REST",
    "9.2": "inactivity",
    "9.3": "message rate",
    "9.7": "error texts",
    "10": "symbols",
}

TAGS = {
    "DOC": "Kraken's documentation",
    "SDK": "Kraken's own SDK",
    "CLI": "Kraken's own command line",
    "WIRE": "bytes captured from the live server",
    "3P": "third parties",
    "UNCONFIRMED": "not known for sure; observed only",
}


def section_key(section: str) -> tuple[int, ...]:
    """To sort sections by."""
    return tuple(map(int, section.split(".")))
