"""The whole state of a core as bytes, and back: what goes on from it cannot be told from what never stopped.

A state is a cache. It is of use to the version of krakenwire that wrote it, and to no other: its first line says which
that was, down to a digest of the code. A journal is read without any, only more slowly.

It is a pickle, but one that names no class and no function: everything but plain data is made by `make` (rebuilding.py)
from the name of a kind that it knows. Whatever bytes come, nothing is run, and nothing of the program is changed.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from krakenwire import protocol
from krakenwire._version import __version__
from krakenwire.errors import UsageError
from krakenwire.journal.files.zstd import CompressionParameter, ZstdCompressor, ZstdDecompressor, ZstdError
from krakenwire.journal.states import rebuilding
from krakenwire.protocol.core import Core

__all__ = ["StateUnusable", "dump_core", "load_core"]

_FORMAT: Final = 1
_LEVEL: Final = 3
_LARGEST: Final = 1 << 30
"""Bytes of a state that are taken at most; one of 1,500 symbols with five streams each has some 20 million."""
_WORD: Final = b"state "


class StateUnusable(UsageError):
    """A state is damaged, or not of this version of krakenwire. Play the journal from an earlier place instead."""


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a state, behind a word.

    Attributes:
        format: see `_FORMAT`.
        krakenwire: the version that wrote it.
        sources: the digest of its code, see `_sources`.
        size: bytes of the pickle.
        sha256: of the pickle, compressed.
    """

    format: int
    krakenwire: str
    sources: str
    size: int
    sha256: str


_head = msgspec.json.Decoder(_Head)


def dump_core(core: Core) -> bytes:
    """All of `core` but its tape, and whom it is to call with the answers that a user asked for.

    It is to be called between two inputs. Books that are shown by a face are not touched: see `load_core`.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, protocol=5)
    pickler.dump(core)
    content = file.getvalue()
    packed = ZstdCompressor(options={CompressionParameter.compression_level: _LEVEL}).compress(
        content, ZstdCompressor.FLUSH_FRAME
    )
    head = _Head(
        format=_FORMAT,
        krakenwire=__version__,
        sources=_sources(),
        size=len(content),
        sha256=hashlib.sha256(packed).hexdigest(),
    )
    return b"%b%b\n%b" % (_WORD, msgspec.json.encode(head), packed)


def load_core(data: bytes) -> Core:
    """The core that `dump_core` was given, on whichever kernel runs here; it has no tape.

    It is a `Core`, whatever kind of one was dumped. All that a core is, is in its attributes, and nothing in it points
    at it: who wants a `GuardedCore` gives these to one.

    Raises:
        StateUnusable: it is damaged, or of another version; says which.
    """
    first = data[:4096].partition(b"\n")[0]
    if not first.startswith(_WORD):
        raise StateUnusable(f"expected a state, which begins with {_WORD.decode()!r}")
    try:
        head = _head.decode(first[len(_WORD) :])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateUnusable(f"the first line of a state is damaged, or of another version: {error}") from None
    ours = (_FORMAT, __version__, _sources())
    if (head.format, head.krakenwire, head.sources) != ours:
        raise StateUnusable(
            f"a state of krakenwire {head.krakenwire} (format {head.format}, code {head.sources}) is of no use to "
            f"krakenwire {__version__} (format {_FORMAT}, code {_sources()})"
        )
    content = _unpack(memoryview(data)[len(first) + 1 :], head)
    try:
        core = _Unpickler(io.BytesIO(content)).load()
    except RecursionError:
        raise StateUnusable("a state is nested too deeply") from None
    except MemoryError:
        raise StateUnusable("a state wants more memory than there is") from None
    except Exception as error:  # whatever the bytes make of it, they are no state
        raise StateUnusable(f"not the state of a core: {error}") from None
    if type(core) is not Core or vars(core).keys() != _attributes():
        raise StateUnusable("not the state of a core, but of something else")
    return core


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        return rebuilding.reduction(obj)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != (rebuilding.__name__, "make"):
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a state")
        return rebuilding.make

    def persistent_load(self, name: Any) -> NoReturn:
        raise pickle.UnpicklingError("nothing outside belongs to a state")


def _unpack(packed: memoryview, head: _Head) -> bytes:
    if not 0 <= head.size <= _LARGEST:
        raise StateUnusable(f"a state of {head.size:,} bytes; at most {_LARGEST:,} are taken")
    if hashlib.sha256(packed).hexdigest() != head.sha256:
        raise StateUnusable("a state is damaged: its checksum is wrong")
    try:
        content = ZstdDecompressor().decompress(packed, head.size + 1)
    except ZstdError as error:
        raise StateUnusable(f"a state is damaged: {error}") from None
    if len(content) != head.size:
        raise StateUnusable("a state is damaged: it is not of the size that it says")
    return content


@cache
def _attributes() -> frozenset[str]:
    return frozenset(vars(Core()))


@cache
def _sources() -> str:
    """A digest of the code whose objects a state holds, the compiled kernel's included where its source is there."""
    package = Path(protocol.__path__[0]).parent
    digest = hashlib.sha256()
    for path in _paths(package):
        digest.update(f"{path.relative_to(package).as_posix()} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _paths(package: Path) -> Iterable[Path]:
    yield package / "events.py"
    yield package / "journal" / "states" / "rebuilding.py"
    for directory in (package / "book", package / "protocol"):
        yield from sorted(path for path in directory.rglob("*") if path.suffix in (".py", ".pyx", ".pxi"))
