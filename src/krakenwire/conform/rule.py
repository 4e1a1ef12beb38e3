"""A rule of PROTOCOL.md that can be driven from outside: where it stands, who says so, and how it is tried."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from krakenwire.conform.verdict import Broken, NotTested, Outcome
from krakenwire.conform.wire import Malformed, shorten
from krakenwire.errors import KrakenwireError

if TYPE_CHECKING:
    from krakenwire.conform.subject import Subject

__all__ = ["Check", "Lane", "Rule", "Tag", "rule"]

Tag = Literal["DOC", "SDK", "CLI", "WIRE", "3P", "UNCONFIRMED"]
"""Who says so: Kraken's documentation, its SDK, its command line, captured bytes, third parties, or nobody surely."""

Lane = Literal["watch", "requests", "apart", "rest", "level3", "account"]
"""How a rule shares what it needs: those of `watch` read what two subscribed connections receive, those of `requests`
ask on one connection in turn, those of `apart` have one each, those of `rest`, `level3` and `account` use that door in
turn. Lanes run side by side."""

Check = Callable[["Subject"], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: `channel.property`.
        section: of PROTOCOL.md.
        provenance: the tags it has there.
        lane: see `Lane`.
        statement: what the rule says.
        check: tries it. Returns a note on what was looked at, or for an UNCONFIRMED rule what was seen.
    """

    id: str
    section: str
    provenance: tuple[Tag, ...]
    lane: Lane
    statement: str
    check: Check

    @property
    def is_observation(self) -> bool:
        """Whether nobody knows: then what is seen is reported, and never called wrong."""
        return "UNCONFIRMED" in self.provenance

    @property
    def needs(self) -> str:
        """What it needs but the public WebSocket: `REST`, `account`, `account, level3`, or nothing."""
        return {"rest": "REST", "account": "account", "level3": "account, level3"}.get(self.lane, "")

    async def try_on(self, subject: Subject) -> Outcome:
        """What becomes of the rule. Cancellation: partial; the connection it used is not used again."""
        try:
            note = await self.check(subject) or ""
        except Broken as found:
            if self.is_observation:
                return Outcome(id=self.id, verdict="observed", note=f"{found.got} (expected {found.expected})")
            return Outcome(id=self.id, verdict="broken", expected=found.expected, got=found.got, frame=found.frame)
        except NotTested as why:
            return Outcome(id=self.id, verdict="not tested", note=str(why))
        except Malformed as what:
            return Outcome(id=self.id, verdict="not tested", note=f"needs what came malformed: {what}")
        except KrakenwireError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # A server under test may send anything. What is wrong with it, the rule about that field says.
            note = f"cannot be tried on what came ({type(error).__name__}: {error})"
            return Outcome(id=self.id, verdict="not tested", note=shorten(note))
        return Outcome(id=self.id, verdict="observed" if self.is_observation else "holds", note=note)


def rule(id: str, section: str, *provenance: Tag, lane: Lane) -> Callable[[Check], Rule]:  # noqa: A002  # its name
    """Make a rule of a coroutine function; its docstring is the statement."""

    def decorate(check: Check) -> Rule:
        statement = " ".join((inspect.getdoc(check) or "").split())
        return Rule(id, section, provenance, lane, statement, check)

    return decorate
