"""A book message of our own making, in the form that Kraken sends (PROTOCOL 3.5)."""

from __future__ import annotations

from krakenwire.book.timestamps import format_timestamp

__all__ = ["book_frame"]


def book_frame(kind: str, symbol: str, levels: tuple[str, str], checksum: int, exchange_ns: int | None) -> bytes:
    """The frame of an `update` or `snapshot`; `levels` is JSON: the bids', then the asks'."""
    bids, asks = levels
    time = ""
    if exchange_ns is not None:
        text = format_timestamp(exchange_ns, 9 if exchange_ns % 1000 else 6)  # microseconds are Kraken's
        time = f',"timestamp":"{text}"'
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{bids}],"asks":[{asks}],'
        f'"checksum":{checksum}{time}}}]}}'
    ).encode()
