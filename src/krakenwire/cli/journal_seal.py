"""`krakenwire journal seal`: what a recorder that was killed did not come to."""

from __future__ import annotations

import typer

from krakenwire.cli.bar import bar
from krakenwire.cli.exits import WRONG, complain, reports_errors
from krakenwire.cli.journal_text import JournalArgument, size_text
from krakenwire.cli.options import JsonOption
from krakenwire.cli.output import print_json, print_line
from krakenwire.errors import KrakenwireError

__all__ = ["EXAMPLES", "seal"]

EXAMPLES = (
    "krakenwire journal seal tape",
    "krakenwire journal seal tape --json | jq .sealed",
)

_TEXT = 7
"""How much larger the text of a segment is, about: it is known only at its end."""


@reports_errors
def seal(directory: JournalArgument, json: JsonOption = False) -> None:
    """Seal the segments that were ended: prove them by playing them, pack them smaller, and index them.

    A recorder does so by itself, at its leisure, with each segment that it ends. This is for those of one that was
    killed, or whose side-cars are gone. What is recorded stays as it is, byte for byte. It may be interrupted, and be
    done while somebody records.

    Ends with 1 if a segment is damaged, or is not what comes of playing it.
    """
    from krakenwire.journal.sealing.sealing import seal as seal_segment
    from krakenwire.journal.sealing.sealing import unsealed

    sealed, is_wrong = [], False
    for segment in unsealed(directory):
        before = segment.path.stat().st_size
        try:
            with bar(f"sealing {segment.path.name}", before * _TEXT) as on_progress:
                index = seal_segment(directory, segment, on_progress=on_progress)
        except KrakenwireError as error:
            complain(str(error))
            is_wrong = True
            continue
        is_wrong = is_wrong or bool(index.damage or index.different)
        what = {
            "file": segment.path.name,
            "bytes_before": before,
            "bytes": index.size,
            "text_bytes": index.text_bytes,
            "checkpoints": len(index.checkpoints),
            "different": index.different,
            "damage": [{"offset": offset, "reason": reason} for offset, reason in index.damage],
        }
        sealed.append(what)
        if not json:
            _print(segment.path.name, before, index.size, index.damage, index.different)
    if json:
        print_json({"directory": directory, "sealed": sealed})
    elif not sealed and not is_wrong:
        print_line(f"{directory}: nothing to seal")
    if is_wrong:
        raise typer.Exit(WRONG)


def _print(name: str, before: int, after: int, damage: list[tuple[int, str]], different: int) -> None:
    if damage:
        print_line(f"{name}: indexed, and left as it is, for it is damaged: {damage[0][1]}")
        return
    doubt = f"; {different} differences between what is recorded and what comes of it" if different else ""
    print_line(f"{name}: {size_text(before)} became {size_text(after)}{doubt}")
