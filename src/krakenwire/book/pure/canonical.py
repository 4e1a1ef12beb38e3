"""The fast way into a frame: only the exact shape that Kraken sends; any other is left to `scan`, which judges."""

from __future__ import annotations

import re

from krakenwire.book.pure.levels import POWERS, Element, Scanned
from krakenwire.book.timestamps import parse_timestamp

__all__ = ["scan_canonical"]

_N = rb"(?:0|[1-9][0-9]{0,9}+)(?:\.[0-9]{1,18}+)?+"
_LEVEL = rb'\{"price":%b,"qty":%b\}' % (_N, _N)
_LEVELS = rb"((?:%b(?:,%b)*+)?+)" % (_LEVEL, _LEVEL)
_CANONICAL = re.compile(
    rb'\{"channel":"book","type":"(update|snapshot)","data":\[\{"symbol":"([ !#-\[\]-~]{1,64}+)",'
    rb'"bids":\[%b\],"asks":\[%b\],"checksum":(0|[1-9][0-9]{0,9}+)(?:,"timestamp":"([0-9T:.Z-]++)")?+\}\]\}'
    % (_LEVELS, _LEVELS)
).fullmatch
_PAIRS = re.compile(rb'e":([0-9]+)\.?([0-9]*),"qty":([0-9]+)\.?([0-9]*)').findall


def _canonical_levels(text: bytes) -> list[Scanned]:
    levels = []
    for price, price_fraction, qty, qty_fraction in _PAIRS(text):
        digits = (price + price_fraction).lstrip(b"0")
        price_scale = len(price_fraction)
        qty_digits = (qty + qty_fraction).lstrip(b"0")
        # A price of zero has no digits: then int() raises ValueError.
        key = int(digits) * POWERS[18 - price_scale]
        levels.append((key, (digits + qty_digits, len(digits), price_scale, len(qty_fraction))))
    return levels


def scan_canonical(frame: bytes) -> Element | None:
    """What `scan` finds in a frame of exactly the shape that Kraken sends; None for any other: `scan` must judge."""
    form = _CANONICAL(frame)
    if form is None:
        return None
    kind, symbol, bids, asks, checksum, timestamp = form.groups()
    expected = int(checksum)
    if expected > 0xFFFFFFFF:
        return None
    try:
        return Element(
            symbol.decode(),
            kind == b"snapshot",
            _canonical_levels(bids) if bids else [],
            _canonical_levels(asks) if asks else [],
            expected,
            None if timestamp is None else parse_timestamp(timestamp.decode()),
        )
    except ValueError:
        return None
