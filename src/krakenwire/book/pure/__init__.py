"""The local order book in pure Python: the specification of the compiled kernel, which has the same classes.

A message goes from the bytes of its frame into the book in one call: scan, apply, truncate to depth, checksum, compare
(PROTOCOL 3.5, 6.1, 6.3, 7.2). A frame is applied whole or not at all.
"""

from krakenwire.book.pure.books import NOT_BOOK, NOTABLE, QUIET, UNKNOWN, Books, restore_books
from krakenwire.book.pure.state import BookState, restore_state
from krakenwire.book.pure.update import BookUpdate, restore_update, update_texts
from krakenwire.book.timestamps import format_timestamp, parse_timestamp

__all__ = [
    "NOTABLE",
    "NOT_BOOK",
    "QUIET",
    "UNKNOWN",
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
