"""Sealing: an ended segment is played once more, proven, made smaller, and given what is needed to seek in it.

The text stays what it is, byte for byte. What is made is put beside the segment first, and the segment itself is
replaced last, by a rename; so the work can be killed at any moment, and be begun again.

`python -m krakenwire.journal.sealing.sealing DIRECTORY [NUMBER…]` seals those segments, or all that are ended and not
sealed.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from krakenwire._version import __version__
from krakenwire.clock import NS_PER_S
from krakenwire.errors import FrameError, KrakenwireError, UsageError
from krakenwire.events import Event
from krakenwire.journal.files.damage import Damaged, Torn
from krakenwire.journal.files.directory import Segment, index_name, segments, state_name, unreadable
from krakenwire.journal.files.locking import is_written
from krakenwire.journal.files.segments import read_segment
from krakenwire.journal.files.zframes import ZstdFrame
from krakenwire.journal.files.zstd import ZstdCompressor
from krakenwire.journal.format import Block, Run, read_block
from krakenwire.journal.format.compression import SEALED_FRAME_BYTES, Options, sealed_options
from krakenwire.journal.format.lines import Head, decode_head
from krakenwire.journal.playing.comparing import End
from krakenwire.journal.playing.player import Player
from krakenwire.journal.playing.seeking import items_from, place_before
from krakenwire.journal.sealing.counting import Counting
from krakenwire.journal.sealing.index import FORMAT, CheckpointAt, FrameAt, Index, read_index, write_index
from krakenwire.journal.sealing.summing import Summary
from krakenwire.journal.states.checkpoints import Checkpoint, write_checkpoint
from krakenwire.journal.states.state import dump_core, load_core
from krakenwire.journal.tools.repairing import sync_directory
from krakenwire.journal.tools.shown import shown_books

__all__ = ["seal", "unsealed"]

CHECKPOINT_BYTES: Final = 8 * 1024 * 1024
"""Text between two states, at least."""
STATE_TIMES: Final = 32
"""And so many times the size of a state, which is compressed, so that these stay small beside the segments."""
NICE: Final = 19


def unsealed(directory: str | os.PathLike[str]) -> list[Segment]:
    """The segments that are ended and not sealed, in order.

    Raises:
        UsageError: it is no journal, or cannot be read.
    """
    found = segments(directory)
    ended = found[:-1] if is_written(directory) else found
    return [segment for segment in ended if read_index(segment) is None]


def seal(
    directory: str | os.PathLike[str],
    segment: Segment,
    *,
    options: Options | None = None,
    on_progress: Callable[[int], object] = id,
) -> Index:
    """Seal one segment that is ended; one that is sealed is left as it is.

    A damaged one is indexed, and left as it is otherwise: `repair` it first.

    Args:
        directory: the journal.
        segment: of it.
        options: of zstd; by default the best that keep up with such a recording.
        on_progress: called with how many bytes of its text are done.

    Raises:
        UsageError: it cannot be read, or something cannot be written; says why. Then it is as it was.
        Damaged: its first line cannot be made out.
    """
    index = read_index(segment)
    if index is not None:
        return index
    return _Sealing(Path(directory), segment, options, on_progress).run()


class _Sealing:
    """The sealing of one segment."""

    def __init__(
        self, directory: Path, segment: Segment, options: Options | None, on_progress: Callable[[int], object]
    ) -> None:
        self._directory = directory
        self._segment = segment
        self._options = options
        self._on_progress = on_progress
        self._layout = secrets.token_hex(8)
        self._player = Player(self._take, load=load_core)
        self._summary: Summary | None = None
        self._counting: Counting | None = None
        self._places: list[FrameAt] = []
        self._checkpoints: list[CheckpointAt] = []
        self._since_checkpoint = 0
        self._state_bytes = 0
        self._text_bytes = 0
        self._blocks = 0
        self._received_ns = (0, 0)
        self._latest_ns = 0
        self._is_exact = True
        self._closed: str | None = None

    def run(self) -> Index:
        segment, player = self._segment, self._player
        known = _identity(segment.path)
        first_line = _first_line(segment.path)
        damage = self._look_through(first_line)
        self._remove_leftovers()
        head = self._begin()
        first_n, first_frame = player.core.n, player.core.frames
        self._summary = summary = Summary(
            [book for book in shown_books(player.core) if book.status == "synced"], head.received_ns
        )
        self._counting = counting = Counting(player)
        self._text_bytes = len(first_line)
        # A name of its own: whoever seals the same at the same time must not write in what takes the segment's place.
        partial = None if damage else segment.path.with_name(f"{segment.number:08}.{self._layout}.partial")
        try:
            self._play(first_line, partial)
            self._keep_state(None)
            index = Index(
                format=FORMAT,
                krakenwire=__version__,
                layout=self._layout,
                size=(segment.path if partial is None else partial).stat().st_size,
                text_bytes=self._text_bytes,
                journal=head.journal,
                segment=segment.number,
                run=head.run,
                is_first=head.is_first,
                resumed=head.resumed,
                n=(first_n, player.core.n),
                received_ns=self._received_ns,
                inputs=player.core.n - first_n,
                frames=player.core.frames - first_frame,
                blocks=self._blocks,
                events=summary.events,
                is_sealed=partial is not None,
                is_exact=self._is_exact,
                different=player.different,
                closed=None if damage else self._closed,
                places=self._places,
                checkpoints=self._checkpoints,
                streams=summary.streams(),
                books=summary.books(self._received_ns[1] or head.received_ns),
                gaps=summary.gaps,
                completeness=counting.end(),
                stalls=dict(sorted(summary.stalls.items())),
                lifecycle=dict(sorted(summary.lifecycle.items())),
                holes=[(hole.first, hole.last, hole.reason) for hole in player.holes],
                damage=damage,
            )
            if partial is None and _identity(segment.path) != known:
                raise UsageError(f"{segment.path} was changed while it was read, by a repair perhaps: seal it again")
            write_index(segment, index)
            if partial is not None and segment.path.exists():  # else it was removed meanwhile, as it was old
                partial.replace(segment.path)
                sync_directory(self._directory)
        except OSError as error:
            raise UsageError(f"{segment.path} could not be sealed: {error.strerror}") from None
        finally:
            if partial is not None:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
        return index

    # --- what is played -----------------------------------------------------------------------------------------------

    def _look_through(self, first_line: bytes) -> list[tuple[int, str]]:
        """Where it is damaged; and how fast it was recorded, by which it is compressed."""
        damage: list[tuple[int, str]] = []
        size, last = 0, b""
        for found in read_segment(self._segment.path):
            if isinstance(found, Damaged):
                damage.append((found.offset, found.reason))
                self._is_exact = self._is_exact and isinstance(found, Torn)
            else:
                size, last = size + len(found.text), found.text
        if self._options is None and not damage:
            began_ns = decode_head(first_line.rstrip(b"\n")).received_ns
            took_ns = read_block(last).received_ns - began_ns if last else 0
            self._options = sealed_options(size * NS_PER_S / max(took_ns, NS_PER_S))
        return damage

    def _begin(self) -> Head:
        """Bring the player to the beginning of the segment, from the state at the end of the one before if it is there.

        Returns:
            The segment's first line.
        """
        place = place_before(self._directory, number=self._segment.number)
        for item in items_from(self._directory, place):
            if not isinstance(item, Head):
                self._player.play(item)
                continue
            if item.segment == place.segment.number:
                self._player.begin(item, place.core, place.log)
            else:
                self._player.begin(item)
            if item.segment == self._segment.number:
                return item
        raise UsageError(f"{self._segment.path} is not what its name says: its first line has another number")

    def _play(self, first_line: bytes, partial: Path | None) -> None:
        """Play the segment; into `partial` goes the same text in larger zstd frames."""
        copy = None if partial is None or self._options is None else _Copy(partial, self._options)
        digest = hashlib.sha256(first_line)
        if copy is not None:
            copy.put(first_line)
        texts: list[bytes] = []
        held, offset = 0, -1
        for found in read_segment(self._segment.path):
            if isinstance(found, Damaged):
                continue
            is_new = found.offset != offset if copy is None else not texts or held >= SEALED_FRAME_BYTES
            if is_new:
                if copy is not None and texts:
                    copy.put(b"".join(texts))
                offset = found.offset if copy is None else copy.size
                texts, held = [], 0
            if copy is not None:
                digest.update(found.text)
                texts.append(found.text)
            held += len(found.text)
            self._play_block(found.text, offset if is_new else None)
            self._on_progress(self._text_bytes)
        if copy is not None:
            if texts:
                copy.put(b"".join(texts))
            copy.close()
            if _digest(copy.path) != digest.digest():
                raise UsageError(f"{self._segment.path} is left as it is: its smaller form was not the same text")

    def _play_block(self, text: bytes, offset: int | None) -> None:
        """Play a block; with `offset`, a zstd frame begins with it there."""
        player = self._player
        self._text_bytes += len(text)
        self._since_checkpoint += len(text)
        self._blocks += 1
        try:
            block = read_block(text)
        except FrameError:
            self._is_exact = False
            return  # it is whole, and yet no block: the player sees that inputs are missing
        if offset is not None:
            self._places.append(FrameAt(offset, block.n, block.received_ns, block.received_mono_ns))
            if len(self._places) > 1 and self._is_checkpoint_due() and block.n == player.core.n:
                self._keep_state(offset)
        if self._counting is not None:
            self._counting.play(block)
        self._is_exact = self._is_exact and player.is_exact
        self._note_times(block)

    def _note_times(self, block: Block) -> None:
        for item in block.runs:
            self._closed = None  # as long as anything follows
            if isinstance(item, Run):
                first, last = item.stamps[0].received_ns, item.stamps[-1].received_ns
                self._latest_ns = max(self._latest_ns, *[stamp.received_ns for stamp in item.stamps])
            elif item.stamp is not None:
                first = last = item.stamp.received_ns
                self._latest_ns = max(self._latest_ns, last)
            else:
                if item.content.startswith(b"end "):
                    with suppress(msgspec.MsgspecError):
                        self._closed = msgspec.json.decode(item.content[4:], type=End).closed
                continue
            self._received_ns = (self._received_ns[0] or first, last)

    def _take(self, events: Sequence[Event]) -> None:
        if self._summary is not None:
            self._summary.take(events)
        if self._counting is not None:
            self._counting.take(events)

    # --- states -------------------------------------------------------------------------------------------------------

    def _is_checkpoint_due(self) -> bool:
        return self._since_checkpoint >= max(CHECKPOINT_BYTES, STATE_TIMES * self._state_bytes)

    def _keep_state(self, offset: int | None) -> None:
        player = self._player
        if not player.is_exact:
            return
        n = player.core.n
        path = self._segment.path.with_name(state_name(self._segment.number, n))
        checkpoint = Checkpoint(dump_core(player.core), player.log.dump())
        self._state_bytes = write_checkpoint(path, checkpoint, layout=self._layout, n=n)
        self._checkpoints.append(CheckpointAt(n, offset, self._latest_ns))
        self._since_checkpoint = 0

    def _remove_leftovers(self) -> None:
        """What an earlier sealing left that was killed, or that was of a file which is not there any more."""
        number = f"{self._segment.number:08}"
        try:
            for path in self._directory.iterdir():
                is_state = path.name.startswith(f"{number}-") and ".state" in path.name
                is_partial = path.name.startswith(f"{number}.") and path.name.endswith(".partial")
                if is_state or is_partial or path.name == index_name(self._segment.number):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write in {self._directory}: {error.strerror}") from None


class _Copy:
    """The same text in a new file, each piece a zstd frame.

    Attributes:
        path: of the file.
        size: bytes so far.
    """

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self.size = 0
        self._options = options
        self._file = open(path, "wb")  # noqa: SIM115  # closed by `close`, or with the process

    def put(self, text: bytes) -> None:
        data = ZstdCompressor(options=self._options).compress(text, ZstdCompressor.FLUSH_FRAME)
        self._file.write(data)
        self.size += len(data)

    def close(self) -> None:
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())


def _identity(path: Path) -> tuple[int, int, int]:
    """What another one is if the file is replaced or written in."""
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _first_line(path: Path) -> bytes:
    """The first line of a segment as it is, with its line feed."""
    begin = bytearray()
    try:
        with open(path, "rb") as file:
            for text in ZstdFrame(file, 0).texts():
                begin += text
                if b"\n" in text:
                    break
    except OSError as error:
        raise unreadable(path, error) from None
    return bytes(begin[: begin.find(b"\n") + 1])


def _digest(path: Path) -> bytes:
    """Of all its text."""
    digest = hashlib.sha256(_first_line(path))
    for found in read_segment(path):
        if not isinstance(found, Damaged):
            digest.update(found.text)
    return digest.digest()


# --- as a process -----------------------------------------------------------------------------------------------------


def main(directory: str, *arguments: str) -> int:
    """See the module; with `--attended` it ends when its standard input does, which is when its parent does."""
    if arguments[:1] == ("--attended",):
        arguments = arguments[1:]
        threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError, AttributeError):  # no such thing here
        os.nice(NICE)
    try:
        wanted = [segment for segment in unsealed(directory) if not arguments or str(segment.number) in arguments]
        for segment in wanted:
            seal(directory, segment)
    except KrakenwireError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not through the file object, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
