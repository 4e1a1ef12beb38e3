"""The local order book: frames go in, proven books come out.

Two implementations of one specification: the compiled kernel, and its pure-Python twin, which is chosen by setting
`KRAKENWIRE_PURE=1` and never silently.
"""

import os
from typing import TYPE_CHECKING, Literal

from krakenwire.book.face import Book
from krakenwire.book.snapshot import BookSnapshot
from krakenwire.book.timestamps import format_timestamp

if TYPE_CHECKING or os.environ.get("KRAKENWIRE_PURE") != "1":
    try:
        from krakenwire.book.kernel import (
            NOT_BOOK,
            NOTABLE,
            QUIET,
            UNKNOWN,
            Books,
            BookState,
            BookUpdate,
            parse_timestamp,
            restore_books,
            restore_state,
            restore_update,
            update_texts,
        )

        KERNEL: Literal["compiled", "pure"] = "compiled"
        """Which implementation runs."""
    except ImportError as error:
        raise ImportError(
            "krakenwire's compiled book cannot be loaded. Build it with `pip install .`, or in a checkout with"
            " `python setup.py build_ext --inplace` (gcc is needed); or set KRAKENWIRE_PURE=1 to run the slower"
            " pure-Python one."
        ) from error
else:
    from krakenwire.book.pure import (
        NOT_BOOK,
        NOTABLE,
        QUIET,
        UNKNOWN,
        Books,
        BookState,
        BookUpdate,
        parse_timestamp,
        restore_books,
        restore_state,
        restore_update,
        update_texts,
    )

    KERNEL = "pure"

__all__ = [
    "KERNEL",
    "NOTABLE",
    "NOT_BOOK",
    "QUIET",
    "UNKNOWN",
    "Book",
    "BookSnapshot",
    "BookState",
    "BookUpdate",
    "Books",
    "format_timestamp",
    "parse_timestamp",
    "restore_books",
    "restore_state",
    "restore_update",
    "update_texts",
]
