"""The text of the instrument channel: reference data (PROTOCOL 3.9)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ..instruments import ListedAsset, ListedInstrument
from .wire import format_reference

__all__ = ["encode_instruments"]


def encode_instruments(
    assets: Iterable[ListedAsset], instruments: Iterable[ListedInstrument], kind: str = "snapshot"
) -> bytes:
    """A frame of the instrument channel; `kind` is `snapshot`, or `update` for what changed."""
    asset_texts = ",".join(_encode_record(each) for each in assets)
    pair_texts = ",".join(_encode_record(each) for each in instruments)
    return (
        f'{{"channel":"instrument","type":"{kind}","data":{{"assets":[{asset_texts}],"pairs":[{pair_texts}]}}}}'
    ).encode()


def _encode_record(record: ListedAsset | ListedInstrument) -> str:
    """The fields of a record in their order; those that are None are left out."""
    texts: list[str] = []
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if value is None:
            continue
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, Decimal):
            text = format_reference(value)
        elif isinstance(value, int):
            text = str(value)
        else:
            text = f'"{value}"'
        texts.append(f'"{name}":{text}')
    return "{" + ",".join(texts) + "}"
