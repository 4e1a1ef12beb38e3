"""A regular expression and what is put in the place of its matches, for bytes."""

from __future__ import annotations

import re

__all__ = ["Substitution"]


class Substitution:
    r"""Replaces what matches.

    Args:
        pattern: a regular expression of Python's `re`.
        replacement: `\1` stands for a group.

    Raises:
        ValueError: they are not that.
    """

    def __init__(self, pattern: str, replacement: str) -> None:
        try:
            self._pattern = re.compile(pattern.encode())
            self._replacement = replacement.encode()
            self._pattern.sub(self._replacement, b"")
        except (re.error, IndexError) as error:
            raise ValueError(f"pattern and replacement are no regular expression: {error}") from None

    def apply(self, text: bytes) -> bytes | None:
        """The text with every match replaced; None if nothing matches."""
        return self._pattern.sub(self._replacement, text) if self._pattern.search(text) else None
