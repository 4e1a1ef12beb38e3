"""The compiled blocks of a journal and the pure ones, side by side: what is done to both has the same result."""

from __future__ import annotations

from krakenwire.errors import FrameError
from krakenwire.events import Stamp
from krakenwire.journal.format import blocks as compiled
from krakenwire.journal.format import pure
from krakenwire.journal.format.block import Block, Entry, Run

__all__ = ["TwinWriter", "close", "entries_of", "read"]


class TwinWriter:
    """A `BlockWriter` of each kind."""

    def __init__(self, n: int = 0) -> None:
        self._writers = compiled.BlockWriter(n), pure.BlockWriter(n)

    @property
    def n(self) -> int:
        """The same of both."""
        return self._agree("n")

    @property
    def size(self) -> int:
        """The same of both."""
        return self._agree("size")

    def frame(self, frame: bytes, stamp: Stamp) -> None:
        """To both."""
        for writer in self._writers:
            writer.frame(frame, stamp)

    def line(self, line: bytes, stamp: Stamp | None, *, is_input: bool = True) -> None:
        """To both."""
        for writer in self._writers:
            writer.line(line, stamp, is_input=is_input)

    def take(self) -> bytes:
        """From both, the same text."""
        one, other = (writer.take() for writer in self._writers)
        assert one == other
        return one

    def _agree(self, name: str) -> int:
        one, other = (getattr(writer, name) for writer in self._writers)
        assert one == other, name
        number: int = one
        return number


def close(text: bytes) -> bytes:
    """Completed by both, the same."""
    whole = compiled.close_block(text)
    assert whole == pure.close_block(text)
    return whole


def read(text: bytes) -> Block | FrameError:
    """What both make of it, the same block or the same complaint."""
    one, other = (_read(module, text) for module in (compiled, pure))
    if isinstance(one, FrameError) or isinstance(other, FrameError):
        assert str(one) == str(other)
        assert isinstance(one, FrameError) == isinstance(other, FrameError)
        assert getattr(one, "offset", None) == getattr(other, "offset", None)
        return one
    assert one == other
    for block in (one, other):
        assert entries_of(block) == block.entries
        _shares_stamps(block)
    return one


def entries_of(block: Block) -> list[Entry]:
    """The lines of a block, from its runs."""
    entries = []
    for item in block.runs:
        if isinstance(item, Run):
            assert len(item.frames) == len(item.stamps) > 0
            assert {stamp.connection for stamp in item.stamps} == {item.connection}
            entries += [Entry("frame", item.frames[i], item.stamps[i]) for i in range(len(item.frames))]
        else:
            entries.append(item)
    return entries


def _shares_stamps(block: Block) -> None:
    """One object for all inputs of one socket read, whatever stands between them: so it was when they came."""
    for item in block.runs:
        if isinstance(item, Run):
            assert all(type(stamp) is Stamp for stamp in item.stamps)


def _read(module: object, text: bytes) -> Block | FrameError:
    try:
        block: Block = module.read_block(text)  # type: ignore[attr-defined]  # one of the two modules above
    except FrameError as error:
        return error
    return block
