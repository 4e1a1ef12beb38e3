"""From what a user asks for to subscriptions at Kraken that are acknowledged, or an error that says why not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from krakenwire.clock import timeout
from krakenwire.errors import SubscriptionRejected, SubscriptionTimeout
from krakenwire.events import LIFECYCLE, Message, Subscribed, SubscribeRejected
from krakenwire.hub import Hub, Interest
from krakenwire.net.pump import Pump
from krakenwire.protocol.core import Placement
from krakenwire.protocol.mirror.mirror import group_of
from krakenwire.protocol.subscriptions import Key
from krakenwire.protocol.wire.requests import (
    DEFAULT_BOOK_DEPTH,
    DEFAULT_OHLC_INTERVAL,
    EVENT_TRIGGERS,
    check_subscription,
)

__all__ = ["Subscriber", "keys_of", "rejection"]

_Wanted = tuple[str, str, str | None, int | None, int | None]
"""Connection, channel, symbol, depth, interval: as far as an acknowledgement tells."""


def keys_of(
    channels: Sequence[str],
    symbols: Iterable[str],
    *,
    depth: int | None = None,
    interval: int | None = None,
    event_trigger: str | None = None,
) -> list[Key]:
    """The subscriptions that `channels` of `symbols` mean, with Kraken's defaults filled in.

    Raises:
        UsageError: for a channel or an option that does not exist; what is accepted is named.
    """
    depth = DEFAULT_BOOK_DEPTH if depth is None else depth
    interval = DEFAULT_OHLC_INTERVAL if interval is None else interval
    event_trigger = EVENT_TRIGGERS[0] if event_trigger is None else event_trigger
    keys: list[Key] = []
    for channel in channels:
        check_subscription(
            channel,
            depth=depth if channel == "book" else None,
            interval=interval if channel == "ohlc" else None,
            event_trigger=event_trigger if channel == "ticker" else None,
        )
        if channel == "instrument":
            keys.append(Key(channel))
            continue
        options: dict[str, int | str] = {"book": depth, "ohlc": interval, "ticker": event_trigger}
        option = options.get(channel)
        keys.extend(Key(channel, symbol, option) for symbol in symbols)
    return keys


class Subscriber:
    """Asks the core for subscriptions and waits for Kraken's word on them.

    Args:
        pump: runs the core.
        hub: where acknowledgements are seen.
        timeout: seconds to wait for Kraken's word.
    """

    def __init__(self, pump: Pump, hub: Hub, timeout: float) -> None:
        self._pump = pump
        self._timeout = timeout
        self._waiting: dict[_Wanted, list[asyncio.Future[Message]]] = {}
        hub.listen(Interest(LIFECYCLE), self._settle)

    async def subscribe(
        self, keys: Sequence[Key], *, before_sent: Callable[[Placement], None]
    ) -> list[SubscribeRejected]:
        """Want `keys` and wait until each is acknowledged or refused; the refusals are returned.

        `before_sent` is called with each placement before anything goes out, so that no event is missed.

        Raises:
            SubscriptionTimeout: if some are still unanswered after the timeout; all `keys` are released then.

        Cancellation: safe, all `keys` are released.
        """
        pump = self._pump
        waiting: list[tuple[_Wanted, asyncio.Future[Message]]] = []
        placements = pump.core.subscribe(keys, pump.now())
        try:
            for placement in placements:
                before_sent(placement)
                session, key = placement
                if not pump.core.is_active(placement):
                    waiting.append(self._wait_for(session.name, key))
            pump.flush()
            async with timeout(pump.clock, self._timeout):
                answers = await asyncio.gather(*(future for _, future in waiting))
        except TimeoutError:
            late = sum(future.cancelled() for _, future in waiting)
            self.release(keys)
            raise SubscriptionTimeout(
                f"Kraken did not answer {late} of {len(keys)} subscription(s) within {self._timeout:g} s; "
                "the connection may be down (see lifecycle()), or raise subscribe_timeout="
            ) from None
        except BaseException:
            self.release(keys)
            raise
        finally:
            self._wait_no_more(waiting)
        return [answer for answer in answers if isinstance(answer, SubscribeRejected)]

    def release(self, keys: Sequence[Key]) -> None:
        """Want `keys` no longer."""
        self._pump.core.unsubscribe(keys, self._pump.now())
        self._pump.flush()

    def fail(self, error: BaseException) -> None:
        """Nothing will be answered any more."""
        waiting, self._waiting = self._waiting, {}
        for futures in waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)

    def _wait_for(self, connection: str, key: Key) -> tuple[_Wanted, asyncio.Future[Message]]:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        wanted = (connection, key.channel, key.symbol, key.depth, key.interval)
        self._waiting.setdefault(wanted, []).append(future)
        return wanted, future

    def _wait_no_more(self, waiting: Iterable[tuple[_Wanted, asyncio.Future[Message]]]) -> None:
        for wanted, future in waiting:
            future.cancel()
            others = self._waiting.get(wanted)
            if others is not None and future in others:
                others.remove(future)
                if not others:
                    del self._waiting[wanted]

    def _settle(self, event: Message) -> None:
        if isinstance(event, Subscribed | SubscribeRejected):
            connection = group_of(event.connection)  # of a mirror, one acknowledgement of the two is enough
            wanted = (connection, event.of or "", event.symbol, event.depth, event.interval)
            for future in self._waiting.pop(wanted, ()):
                if not future.done():
                    future.set_result(event)


def rejection(event: SubscribeRejected) -> SubscriptionRejected:
    """The error that tells a caller what an event told."""
    return SubscriptionRejected(event.of or "?", event.symbol, event.error)
