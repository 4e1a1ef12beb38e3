"""How a journal is compressed while it is recorded, and once it is sealed. Measured by benchmarks/bench_journal.py.

What was found, in bytes of raw frames for one byte of the file:

- Every flush costs some 70 bytes, so that a quiet feed's journal is half as large when it is flushed every two seconds
  as when it is ten times a second, and a zstd frame that begins anew forgets what it had learned: none ends because of
  time alone.
- Half of what a frame costs is when it came. Digits match by chance, which costs more than it saves: with matches of at
  least six bytes level 9 is both smaller and quicker than without. Levels 2 to 5 are larger than level 1.
- Times in a zstd block of their own would save 1 %, larger windows and hash tables nothing.
"""

from __future__ import annotations

from typing import Final

from krakenwire.journal.files.zstd import CompressionParameter

__all__ = ["DIGEST_S", "FLUSH_S", "FRAME_BYTES", "SEALED_FRAME_BYTES", "live_options", "sealed_options"]

FLUSH_S: Final = 2.0
"""How old a block may get before it is written, however small."""
DIGEST_S: Final = 10.0
"""How often the digest of the events is noted, at least; nothing compresses it."""
FRAME_BYTES: Final = 1024 * 1024
"""Text after which a zstd frame ends while recording: what a reader decompresses at most to find a block."""
SEALED_FRAME_BYTES: Final = 4 * 1024 * 1024
"""The same of a sealed segment."""

Options = dict[int, int]

_QUICK: Options = {CompressionParameter.compression_level: 1}
_SMALL: Options = {CompressionParameter.compression_level: 9, CompressionParameter.min_match: 6}
_SMALLER: Options = {CompressionParameter.compression_level: 16}
_SMALLEST: Options = {CompressionParameter.compression_level: 19}

_BUSY = 2_000_000
_SLOW = 500_000
_SLOWEST = 125_000
"""Bytes of text a second up to which a level takes at most some hundredths of a processor; when sealing, a tenth."""


def live_options(bytes_per_second: float | None) -> Options:
    """The parameters of the next zstd frame of a segment that is recorded.

    Args:
        bytes_per_second: of text, in the zstd frame before; None if there was none.
    """
    return _checked(_QUICK if bytes_per_second is not None and bytes_per_second > _BUSY else _SMALL)


def sealed_options(bytes_per_second: float) -> Options:
    """The parameters of a segment that is compressed for good.

    Args:
        bytes_per_second: of its text, over the time that it was recorded: so fast sealing must be, to keep up.
    """
    if bytes_per_second > _SLOW:
        return _checked(_SMALL)
    return _checked(_SMALLER if bytes_per_second > _SLOWEST else _SMALLEST)


def _checked(options: Options) -> Options:
    return {**options, CompressionParameter.checksum_flag: 1}
