"""A journal as tables: read in Python, and exported as Parquet."""

from krakenwire.journal.tables.journal import Journal
from krakenwire.journal.tables.schema import BookRow, BookSpan, BookTop, Missing
from krakenwire.journal.tables.table import Table

__all__ = ["BookRow", "BookSpan", "BookTop", "Journal", "Missing", "Table"]
