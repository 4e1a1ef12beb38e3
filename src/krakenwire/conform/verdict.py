"""How a rule fares: it holds, it is broken, it was observed, or it was not tested."""

from __future__ import annotations

from typing import Literal, NoReturn

import msgspec

from krakenwire.conform.wire import Frame

__all__ = ["Broken", "NotTested", "Outcome", "Verdict", "broken", "expect"]

Verdict = Literal["holds", "broken", "observed", "not tested"]


class Broken(Exception):
    """The server does not keep the rule.

    Attributes:
        expected: what the rule says.
        got: what came instead.
        frame: the frame that shows it, shortened; empty if there is none.
    """

    def __init__(self, expected: str, got: str, frame: str = "") -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got
        self.frame = frame


class NotTested(Exception):
    """Nothing can be said of the rule, and why; the text is for a person."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one rule.

    Attributes:
        id: the rule's.
        verdict: `observed` for a rule that is UNCONFIRMED, whatever was seen.
        note: of a rule that holds, how much was looked at; of one observed, what was seen; of one not tested, why.
        expected, got, frame: of a broken rule, see `Broken`.
    """

    id: str
    verdict: Verdict
    note: str = ""
    expected: str = ""
    got: str = ""
    frame: str = ""


def broken(expected: str, got: str, frame: Frame | str = "") -> NoReturn:
    """Say that the rule is broken.

    Raises:
        Broken: always.
    """
    raise Broken(expected, got, frame.shortened if isinstance(frame, Frame) else frame)


def expect(holds: bool, expected: str, got: object, frame: Frame | str = "") -> None:
    """Say that the rule is broken unless `holds`.

    Raises:
        Broken: it does not hold.
    """
    if not holds:
        broken(expected, str(got), frame)
