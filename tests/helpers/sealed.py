"""What a journal says, read without its side-cars and without any code of the journal's but its names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from krakenwire.journal.files.directory import Segment, segments
from krakenwire.journal.files.zstd import CompressionParameter, ZstdDecompressor
from krakenwire.journal.playing.seeking import play_to
from krakenwire.journal.sealing.index import Index
from krakenwire.journal.sealing.sealing import seal, unsealed
from krakenwire.protocol.report import state_digest

__all__ = ["QUICK", "moments", "seal_all", "text_of", "told_at"]


QUICK: dict[int, int] = {CompressionParameter.compression_level: 1, CompressionParameter.checksum_flag: 1}


def text_of(path: Path) -> bytes:
    """All text of a segment."""
    rest, text = path.read_bytes(), b""
    while rest:
        frame = ZstdDecompressor()
        text += frame.decompress(rest)
        rest = frame.unused_data
    return text


def seal_all(directory: Path) -> list[Index]:
    """Seal what is not sealed."""
    return [seal(directory, segment, options=QUICK) for segment in unsealed(directory)]


def moments(directory: Path, count: int, seconds: float) -> list[int]:
    """So many, from the beginning of the first segment on."""
    begin: Segment = segments(directory)[0]
    return [begin.started_ns + int(number * seconds * 1e9 / count) for number in range(1, count + 1)]


def told_at(directory: Path, received_ns: int) -> tuple[Any, ...]:
    """All that can be seen of the core as of a moment."""
    player = play_to(directory, received_ns)
    core = player.core
    assert player.differences == []
    return core.n, core.next_deadline(), state_digest(core), core.statistics(), core.connection_statistics()
