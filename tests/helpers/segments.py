"""Small segments made by hand, as a recorder makes them: heads, blocks, zstd frames that hold whole blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from krakenwire.clock import NS_PER_S
from krakenwire.events import Stamp
from krakenwire.journal.files.directory import segment_name
from krakenwire.journal.files.zstd import CompressionParameter, ZstdCompressor
from krakenwire.journal.format.lines import FORMAT, Head, Made, encode_head
from krakenwire.journal.format.pure import BlockWriter, close_block
from krakenwire.protocol.options import Options

__all__ = ["BEGAN_NS", "blocks_of_frames", "head_of", "write_segment", "zstd_frame"]

BEGAN_NS = 1_795_400_000 * NS_PER_S


def head_of(number: int = 1, **changed: Any) -> Head:
    """The head of a segment, the first of its run if its number is 1."""
    usual = Head(
        format=FORMAT,
        journal="0123456789abcdef" * 2,
        segment=number,
        run=1,
        is_first=number == 1,
        resumed=False,
        n=0,
        received_ns=BEGAN_NS,
        made=Made(options=msgspec.to_builtins(Options())),
        endpoints={"public": "ws://127.0.0.1:1/v2", "rest": "http://127.0.0.1:1"},
        krakenwire="0.1.0",
        kernel="compiled",
        python="3.11.7",
    )
    return msgspec.structs.replace(usual, **changed)


def blocks_of_frames(
    frames: Sequence[bytes], size: int, *, n: int = 0, notes: Iterable[bytes] = (), connection: str = "public"
) -> list[bytes]:
    """Frames a millisecond apart in whole blocks of `size` each; `notes` stand at the end of the last one."""
    writer = BlockWriter(n)
    blocks = []
    for start in range(0, len(frames), size):
        for frame in frames[start : start + size]:
            moment = BEGAN_NS + writer.n * 1_000_000
            writer.frame(frame, Stamp(connection, 0, moment, moment - BEGAN_NS))
        if start + size >= len(frames):
            for note in notes:
                writer.line(note, None, is_input=False)
        blocks.append(close_block(writer.take()))
    return blocks


def zstd_frame(texts: Sequence[bytes], *, is_ended: bool = True, has_checksum: bool = True) -> bytes:
    """One zstd frame; what is in it is flushed text by text."""
    compressor = ZstdCompressor(
        options={CompressionParameter.compression_level: 1, CompressionParameter.checksum_flag: int(has_checksum)}
    )
    flushed = b"".join(compressor.compress(text, compressor.FLUSH_BLOCK) for text in texts)
    return flushed + compressor.flush() if is_ended else flushed


def write_segment(
    directory: Path, zstd_frames: Sequence[Sequence[bytes]], head: Head | None = None, *, is_ended: bool = True
) -> Path:
    """A segment with these blocks, in these zstd frames; the last is ended or not."""
    head = head or head_of()
    directory.mkdir(exist_ok=True)
    path = directory / segment_name(head.segment, head.received_ns)
    first, *others = zstd_frames or [[]]
    last = len(others)
    path.write_bytes(
        b"".join(
            zstd_frame(texts, is_ended=is_ended or at < last)
            for at, texts in enumerate([[encode_head(head) + b"\n", *first], *others])
        )
    )
    return path
