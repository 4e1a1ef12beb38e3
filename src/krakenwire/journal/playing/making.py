"""A core as its journal says that it was made, and the other way round."""

from __future__ import annotations

from datetime import UTC, time, timedelta
from typing import Any, cast

import msgspec

from krakenwire.errors import UsageError
from krakenwire.journal.format.lines import Made
from krakenwire.protocol.auditor import AuditMethod
from krakenwire.protocol.core import Core
from krakenwire.protocol.options import Options
from krakenwire.protocol.rotation import Every

__all__ = ["core_of", "made_of"]


def made_of(
    options: Options,
    *,
    mirror: bool = False,
    book_audit: AuditMethod | None = None,
    reconnect_every: Every | None = None,
    passive: bool = False,
) -> Made:
    """What is to be recorded of the arguments of a `Core`."""
    every: float | str | None = None
    if isinstance(reconnect_every, timedelta):
        every = reconnect_every.total_seconds()
    elif reconnect_every is not None:
        every = reconnect_every.replace(tzinfo=None).isoformat()
    return Made(
        options=msgspec.structs.asdict(options),
        mirror=mirror,
        book_audit=book_audit,
        reconnect_every=every,
        passive=passive,
    )


def core_of(made: Made) -> Core:
    """A core like the one that was recorded; options that this version does not know are left out.

    Raises:
        UsageError: there can be no such core; says why.
    """
    try:
        return Core(
            Options(**_known(made.options)),
            passive=made.passive,
            reconnect_every=_every(made.reconnect_every),
            mirror=made.mirror,
            book_audit=cast("AuditMethod | None", made.book_audit),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"the journal's first line tells of a client that there cannot be: {error}") from None


def _known(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in Options.__struct_fields__ if name in options}


def _every(recorded: float | str | None) -> Every | None:
    if recorded is None:
        return None
    if isinstance(recorded, str):
        return time.fromisoformat(recorded).replace(tzinfo=UTC)
    return timedelta(seconds=recorded)
