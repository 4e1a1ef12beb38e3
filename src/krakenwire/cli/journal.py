"""`krakenwire journal`: what is done with journals on disk, a command each.

What the commands need of the journal they import when they are called: it needs an extra.
"""

from __future__ import annotations

import typer

from krakenwire.cli import (
    journal_book_at,
    journal_cat,
    journal_cut,
    journal_diff,
    journal_import,
    journal_info,
    journal_repair,
    journal_report,
    journal_seal,
    journal_verify,
)
from krakenwire.cli.adding import add

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Look at recorded journals, prove, mend, print and cut them, and make them of other recordings.",
)

add(app, journal_info.info, journal_info.EXAMPLES)
add(app, journal_verify.verify, journal_verify.EXAMPLES)
add(app, journal_repair.repair, journal_repair.EXAMPLES)
add(app, journal_cat.cat, journal_cat.EXAMPLES)
add(app, journal_cut.cut, journal_cut.EXAMPLES)
add(app, journal_import.import_, journal_import.EXAMPLES, "import")
add(app, journal_seal.seal, journal_seal.EXAMPLES)
add(app, journal_book_at.book_at, journal_book_at.EXAMPLES, "book-at")
add(app, journal_report.report, journal_report.EXAMPLES)
add(app, journal_diff.diff, journal_diff.EXAMPLES)
