"""The private door: executions and balances of whoever holds a token, and the way to trading (PROTOCOL 4, 5)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from ..accounts.accounts import Accounts
from ..engine.engine import Engine
from ..engine.model import LedgerEntry, Refusal, Report
from ..feed.stream import Stream
from .reports import ReportText, encode_private
from .requests import Message, Refused, encode_refusal, encode_result, read_flag, refuse_unknown
from .session import DoorSession, Reply
from .trading import METHODS, Trading

__all__ = ["PrivateSession"]

EXECUTIONS, BALANCES = Stream("executions"), Stream("balances")

TRANSITIONS = frozenset({"new", "filled", "canceled", "expired"})
"""What is told of an order if `order_status` is false (PROTOCOL 4.1)."""

_FIELDS = {
    "executions": {
        "snap_orders",
        "snap_trades",
        "order_status",
        "ratecounter",
        "users",
        "rebased",
        "snapshot",
        "snapshot_trades",
    },
    "balances": {"snapshot", "users", "rebased"},
}
_WARNINGS = [
    "cancel_reason is deprecated, use reason",
    "stop_price is deprecated, use triggers.price",
    "trigger is deprecated use triggers.reference",
    "triggered_price is deprecated use triggers.last_price",
]


class _Subscription:
    """One subscription of a private channel, and how many frames it was given."""

    def __init__(self, account: str, *, transitions_only: bool = False) -> None:
        self.account = account
        self.transitions_only = transitions_only
        self._sequence = 0

    def next(self) -> int:
        """The number of the next frame."""
        self._sequence += 1
        return self._sequence


class PrivateSession(DoorSession):
    """Protocol state of one client of the private door.

    Args:
        engine: what is traded with.
        accounts: who may.
        text: writes reports and balances.
        connection: who this client is to `accounts`.
        now_ns: gives the time that answers carry.
        message_rate: messages a second that the client may send in the long run; twice as many at once.
    """

    methods = (*DoorSession.methods, *METHODS)

    def __init__(
        self,
        engine: Engine,
        accounts: Accounts,
        text: ReportText,
        connection: Hashable,
        now_ns: Callable[[], int],
        *,
        message_rate: float = 100.0,
    ) -> None:
        super().__init__(now_ns, message_rate)
        self._engine = engine
        self._accounts = accounts
        self._text = text
        self._connection = connection
        self._trading = Trading(engine, accounts)
        self._subscriptions: dict[Stream, _Subscription] = {}

    @property
    def has_subscriptions(self) -> bool:
        """True if a private channel is subscribed."""
        return bool(self._subscriptions)

    def close(self) -> None:
        """End all subscriptions: the client is gone."""
        self._subscriptions.clear()
        self._accounts.release(self._connection)

    # --- what happened to the account ---------------------------------------------------------------------

    def report(self, report: Report, record: str) -> Reply | None:
        """The frame that tells this client of a report, whose text is `record`; None if it is not to know."""
        subscription = self._subscriptions.get(EXECUTIONS)
        if subscription is None or subscription.account != report.order.account:
            return None
        if subscription.transitions_only and report.exec_type not in TRANSITIONS:
            return None
        return EXECUTIONS, encode_private("executions", "update", (record,), subscription.next())

    def enter(self, entry: LedgerEntry, record: str) -> Reply | None:
        """The frame that tells this client of a ledger entry, whose text is `record`; None if it is not to know."""
        subscription = self._subscriptions.get(BALANCES)
        if subscription is None or subscription.account != entry.account:
            return None
        return BALANCES, encode_private("balances", "update", (record,), subscription.next())

    # --- requests -----------------------------------------------------------------------------------------

    def _handle(self, message: Message, time_in: int, monotonic_ns: int) -> list[Reply]:
        if message.method in METHODS:
            account = self._account_of(message)
            answers = self._trading.do(account, message, self._now_ns())
            return [(None, self._answer(message, answer, time_in)) for answer in answers]
        channel = message.params.get("channel")
        if not isinstance(channel, str):
            raise Refused("Malformed request", message.method, message.req_id)
        if channel in ("status", "heartbeat"):
            raise Refused("Symbol(s) not found", message.method, message.req_id)
        if channel not in _FIELDS:
            raise Refused("Subscription name invalid", message.method, message.req_id)
        refuse_unknown(message.params, {*_FIELDS[channel], "channel", "token"}, message.method, message.req_id)
        if message.method == "subscribe":
            return self._subscribe(Stream(channel), message, time_in)
        return [(None, self._unsubscribe(Stream(channel), message, time_in))]

    def _subscribe(self, stream: Stream, message: Message, time_in: int) -> list[Reply]:
        snapshot = read_flag(message, "snapshot", True)
        read_flag(message, "ratecounter", False)
        read_flag(message, "rebased", True)
        options = {
            "snap_orders": read_flag(message, "snap_orders", snapshot),
            "snap_trades": read_flag(message, "snap_trades", read_flag(message, "snapshot_trades", False)),
            "order_status": read_flag(message, "order_status", True),
        }
        if message.params.get("users", "all") != "all":
            raise Refused("Malformed request", message.method, message.req_id)
        account = self._account_of(message)
        permissions = self._accounts.permissions(account)
        if not (permissions.query_orders if stream == EXECUTIONS else permissions.query_funds):
            raise Refused("EGeneral:Permission denied", message.method, message.req_id)
        if stream in self._subscriptions:
            raise Refused("Already subscribed", message.method, message.req_id)
        if "users" in message.params:
            # There is no snapshot of a whole family of accounts (PROTOCOL 4.1).
            snapshot = options["snap_orders"] = options["snap_trades"] = False
        subscription = _Subscription(account, transitions_only=not options["order_status"])
        self._subscriptions[stream] = subscription
        self._accounts.hold(message.params["token"], self._connection)
        result: dict[str, object] = {"channel": stream.channel}
        records: list[str] | None = None
        if stream == EXECUTIONS:
            snapshot = options["snap_orders"] or options["snap_trades"]
            result["maxratecount"] = self._accounts.tier(account).max_rate_count
            result["snap_orders"], result["snap_trades"] = options["snap_orders"], options["snap_trades"]
            result["snapshot"] = snapshot
            result["warnings"] = _WARNINGS
            if snapshot:
                records = self._executions(account, options)
        else:
            result["snapshot"] = snapshot
            if snapshot:
                balances = self._engine.balances(account)
                records = [self._text.balance(asset, balances[asset]) for asset in sorted(balances)]
        replies: list[Reply] = [
            (None, encode_result(message.method, message.req_id, result, time_in, self._now_ns())),
        ]
        if records is not None:
            replies.append((stream, encode_private(stream.channel, "snapshot", records, subscription.next())))
        return replies

    def _executions(self, account: str, options: dict[str, bool]) -> list[str]:
        records: list[str] = []
        if options["snap_orders"]:
            records += [self._text.open_order(order) for order in self._engine.open_orders(account)]
        if options["snap_trades"]:
            records += [self._text.fill(report) for report in self._engine.recent_fills(account)]
        return records

    def _unsubscribe(self, stream: Stream, message: Message, time_in: int) -> bytes:
        self._account_of(message)
        if stream not in self._subscriptions:
            raise Refused("Subscription Not Found", message.method, message.req_id)
        del self._subscriptions[stream]
        if not self._subscriptions:
            self._accounts.release(self._connection)
        result = {"channel": stream.channel}
        return encode_result(message.method, message.req_id, result, time_in, self._now_ns())

    def _account_of(self, message: Message) -> str:
        """Whose token a message carries; raises Refused."""
        token = message.params.get("token")
        if not isinstance(token, str):
            raise Refused("Token(s) not found", message.method, message.req_id)
        try:
            self.account = self._accounts.account_of(token, self._now_ns(), self._connection)
        except Refusal as refusal:
            raise Refused(refusal.text, message.method, message.req_id) from None
        return self.account

    def _answer(self, message: Message, answer: dict[str, Any] | Refusal, time_in: int) -> bytes:
        if isinstance(answer, Refusal):
            refused = Refused(answer.text, message.method, message.req_id)
            return encode_refusal(refused, None, time_in, self._now_ns())
        return encode_result(message.method, message.req_id, answer, time_in, self._now_ns())
