"""Where zstd comes from: the standard library from 3.14 on, the extra `journal` before."""

from __future__ import annotations

import sys

from krakenwire.errors import UsageError

__all__ = [
    "CompressionParameter",
    "DecompressionParameter",
    "ZstdCompressor",
    "ZstdDecompressor",
    "ZstdError",
    "ZstdFile",
]

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
        ZstdFile,
    )
else:
    try:
        from backports.zstd import (
            CompressionParameter,
            DecompressionParameter,
            ZstdCompressor,
            ZstdDecompressor,
            ZstdError,
            ZstdFile,
        )
    except ImportError:
        raise UsageError(
            "journals are compressed by zstd, which is not here: pip install 'krakenwire[journal]'"
        ) from None
