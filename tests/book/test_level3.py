import json
import zlib
from pathlib import Path

from krakenwire.book.level3 import level3_checksum


def test_published_level3_checksum_holds(vectors: Path) -> None:
    book = json.loads((vectors / "v2_level3_docs_btcusd.json").read_text())
    bids, asks = ([(order["limit_price"], order["order_qty"]) for order in book[side]] for side in ("bids", "asks"))
    assert level3_checksum(bids, asks) == book["checksum"]
    assert level3_checksum(bids[::-1], asks) != book["checksum"], "the queue order counts"


def test_orders_below_the_tenth_price_do_not_count() -> None:
    asks = [(f"{price}.0", "0.5") for price in range(100, 115)]
    text = "".join(f"{price}0" + "5" for price in range(100, 110))
    assert level3_checksum([], asks) == zlib.crc32(text.encode())
    assert level3_checksum([], [*asks, ("109.0", "0.7")]) != level3_checksum([], asks)
