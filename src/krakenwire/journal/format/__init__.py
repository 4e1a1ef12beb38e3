"""The text of a segment: lines, blocks of lines, and their head. docs/journal-format.md says it for other languages.

Blocks have two implementations of one specification, as books have: `KRAKENWIRE_PURE=1` chooses the one in Python.
"""

import os
from typing import TYPE_CHECKING

from krakenwire.journal.format.block import Block, Entry, Run

if TYPE_CHECKING or os.environ.get("KRAKENWIRE_PURE") != "1":
    try:
        from krakenwire.journal.format.blocks import BlockWriter, close_block, read_block
    except ImportError as error:
        raise ImportError(
            "krakenwire's compiled blocks of a journal cannot be loaded. Build them with `pip install .`, or in a"
            " checkout with `python setup.py build_ext --inplace` (gcc is needed); or set KRAKENWIRE_PURE=1 to run the"
            " slower pure-Python ones."
        ) from error
else:
    from krakenwire.journal.format.pure import BlockWriter, close_block, read_block

__all__ = ["Block", "BlockWriter", "Entry", "Run", "close_block", "read_block"]
