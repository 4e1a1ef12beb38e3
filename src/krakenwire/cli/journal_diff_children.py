"""A journal played twice, by processes with another kernel or another krakenwire, and where that first differs.

First each tells a digest for each block; only from the block before the first that differs on, every event.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from krakenwire.book import KERNEL
from krakenwire.errors import UsageError
from krakenwire.journal.tools.diff_events import EventsDiff, diff_events

__all__ = ["Played", "Player", "diff_played", "played_events"]

_WORKER = Path(__file__).with_name("journal_diff_worker.py")


class Player(NamedTuple):
    """Who plays.

    Attributes:
        python: the interpreter, whose krakenwire it is.
        kernel: which of its kernels.
    """

    python: str
    kernel: str


class Played(NamedTuple):
    """What came of it.

    Attributes:
        a, b: what played: `krakenwire`, `kernel`, `python`.
        blocks: that came out the same, before the first that did not; all of them if there is none.
        diff: event by event, from a block before that on; None if no block differs.
    """

    a: dict[str, str]
    b: dict[str, str]
    blocks: int
    diff: EventsDiff | None


def diff_played(
    directory: str, a: Player, b: Player, *, ignore: Collection[str] = (), on_progress: Callable[[int], object] = id
) -> Played:
    """Play a journal with both, and compare what comes.

    Args:
        directory: the journal.
        a: who plays.
        b: the other one.
        ignore: names of fields of events that may differ.
        on_progress: called with the bytes of files that were played.

    Raises:
        UsageError: one of them cannot play it; says why.
    """
    with _children("digests", directory, 0, a, b) as (ones, others):
        made = next(ones), next(others)
        blocks = 0
        for one, other in zip_longest(ones, others):
            if one is None or other is None or one[1:] != other[1:]:
                break
            if len(one) > _END_OF_RUN:
                blocks += 1
                on_progress(one[0])
        else:
            return Played(*made, blocks, None)
    with _children("events", directory, max(0, blocks - 1), a, b) as (ones, others):
        next(ones), next(others)
        return Played(*made, blocks, diff_events(ones, others, ignore=ignore))


_END_OF_RUN = 4
"""Values of a line that is of no block."""


@contextmanager
def played_events(directory: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a journal, as they are printed, played by this very version.

    Raises:
        UsageError: it cannot be played.
    """
    with ExitStack() as stack:
        lines = _lines(stack, ["events", directory, "0"], Player(sys.executable, KERNEL))
        next(lines)
        yield (each for each in lines if not each["event"].startswith("("))


@contextmanager
def _children(
    mode: str, directory: str, from_block: int, a: Player, b: Player
) -> Iterator[tuple[Iterator[Any], Iterator[Any]]]:
    with ExitStack() as stack:
        yield (
            _lines(stack, [mode, directory, str(from_block)], a),
            _lines(stack, [mode, directory, str(from_block)], b),
        )


def _lines(stack: ExitStack, arguments: list[str], player: Player) -> Iterator[Any]:
    """What a child tells; it is ended with `stack`."""
    errors = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # closed by `stack`
    # Its own directory is not to be searched for modules, whose names are ours.
    command = [player.python, "-P", os.fspath(_WORKER), *arguments]
    environment = os.environ | {"KRAKENWIRE_PURE": "1" if player.kernel == "pure" else ""}
    if player.python != sys.executable:
        environment.pop("PYTHONPATH", None)  # on which ours may be, instead of its own
    try:
        child = subprocess.Popen(  # noqa: S603  # it is the user who says which interpreter
            command, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
    except OSError as error:
        raise UsageError(f"cannot run {player.python}: {error.strerror}") from None
    stack.callback(_end, child)

    def told() -> Iterator[Any]:
        assert child.stdout is not None  # noqa: S101  # a pipe
        yield from map(msgspec.json.decode, child.stdout)
        if child.wait():
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise UsageError(
                f"{player.python} cannot play it: {said[-1] if said else f'it ended with {child.returncode}'}; "
                "it needs a krakenwire that knows journals, with the extra journal. "
                "Or print the events under each (krakenwire replay DIR --events --json), and compare the two files"
            )

    return told()


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdout is not None:
        child.stdout.close()
    child.kill()
    child.wait()
