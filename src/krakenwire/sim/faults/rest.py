"""Faults of the REST API: calls that fail, and answers rewritten."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .filters import Count
from .model import Fault, Timing
from .substitution import Substitution

__all__ = ["RestError", "RewriteRest"]


class CallFilter(Timing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls a fault works on."""

    call: Annotated[str, Meta(min_length=1, description="only this call, as in `GetWebSocketsToken`")] | None = None
    count: Count = 1


class ErrorFilter(CallFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `rest_error`."""

    error: Annotated[str, Meta(min_length=1, description="Kraken's words for it (PROTOCOL 9.7)")] = (
        "EAPI:Rate limit exceeded"
    )
    status: Annotated[
        int, Meta(ge=200, le=599, description="HTTP status; any but 200 comes from infrastructure, without JSON")
    ] = 200


class RestError(Fault[ErrorFilter]):
    """REST calls that are not carried out, and answered with an error."""

    kind = "rest_error"
    parameters_type = ErrorFilter
    done = 0

    def rest_instead(self, call: str) -> tuple[int, bytes] | None:
        """The error, where the call is meant."""
        wanted = self.parameters
        if wanted.call not in (None, call):
            return None
        self.touch(what={"call": call, "status": wanted.status} | ({"error": wanted.error} if self._is_own else {}))
        self.done += 1
        if self.done == wanted.count:
            self.heal()
        if self._is_own:
            return 200, msgspec.json.encode({"error": [wanted.error]})
        return wanted.status, f"<html><head><title>{wanted.status}</title></head></html>".encode()

    @property
    def _is_own(self) -> bool:
        """Whether it is Kraken's error, and not that of something before it."""
        return self.parameters.status == 200


class RewriteFilter(CallFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `rewrite_rest`."""

    pattern: Annotated[str, Meta(min_length=1, description="a regular expression of Python's `re`")]
    replacement: Annotated[str, Meta(description="put in the place of every match, `\\1` for a group")] = ""
    count: Count = 0


class RewriteRest(Fault[RewriteFilter]):
    """Answers of the REST API, altered by a regular expression."""

    kind = "rewrite_rest"
    parameters_type = RewriteFilter
    done = 0

    def check(self) -> None:
        """Refuse an expression that is none."""
        try:
            self._substitution = Substitution(self.parameters.pattern, self.parameters.replacement)
        except ValueError as error:
            raise self.complain(str(error)) from None

    def rest_answer(self, call: str, status: int, body: bytes) -> tuple[int, bytes] | None:
        """The answer as the expression makes it."""
        if self.parameters.call not in (None, call) or (rewritten := self._substitution.apply(body)) is None:
            return None
        self.touch(what={"call": call}, size=len(body))
        self.done += 1
        if self.done == self.parameters.count:
            self.heal()
        return status, rewritten
