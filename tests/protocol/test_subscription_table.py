"""What is desired against what the exchange has: by example, and against an exchange that does as it likes."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from krakenwire.protocol.subscriptions import Key, Pending, State, Subscription, SubscriptionTable
from krakenwire.protocol.wire.answers import Ack

pytestmark = pytest.mark.any_kernel

LIMIT = 3
KEYS = [
    *(Key("book", symbol, 10) for symbol in ("BTC/USD", "ETH/USD", "XRP/USD", "ADA/USD")),
    Key("book", "SOL/USD", 100),
    *(Key("trade", symbol) for symbol in ("BTC/USD", "ETH/USD")),
    Key("ohlc", "BTC/USD", 1),
    Key("ohlc", "BTC/USD", 5),
    Key("instrument"),
]


def asked(table: SubscriptionTable, req_id: int, now: int = 0, deadline: int = 100) -> tuple[str, list[Key]]:
    """Send what is due."""
    plan = table.due(now)
    assert plan is not None
    table.sent(req_id, *plan, deadline)
    return plan[0], [sub.key for sub in plan[1]]


def answered(
    table: SubscriptionTable, req_id: int | None, symbol: str | None, *, all_of_it: bool
) -> tuple[str, list[Subscription]] | None:
    """An answer comes: a success, or (`all_of_it`) a refusal for now."""
    ack = Ack(method="subscribe", success=not all_of_it, req_id=req_id, symbol=symbol)
    found = table.answered(ack, all_of_it=all_of_it, until=0)
    return None if found is None else (found.method, [sub for sub, _ in found.answers])


def confirm(table: SubscriptionTable, req_id: int, symbol: str | None) -> None:
    answer = answered(table, req_id, symbol, all_of_it=False)
    assert answer is not None
    method, (sub,) = answer
    if method == "subscribe":
        table.active(sub)
    else:
        table.left(sub)


def active(key: Key) -> tuple[SubscriptionTable, Subscription]:
    """A table in which `key` is acknowledged."""
    table = SubscriptionTable(LIMIT)
    sub = table.want(key)
    asked(table, 1)
    confirm(table, 1, key.symbol)
    assert sub.state is State.ACTIVE
    return table, sub


BOOK = KEYS[0]


def test_keys_tell_their_own_option_only() -> None:
    assert (Key("book", "A/B", 25).depth, Key("book", "A/B", 25).interval) == (25, None)
    assert (Key("ohlc", "A/B", 5).interval, Key("ohlc", "A/B", 5).depth) == (5, None)
    assert Key("ticker", "A/B", "bbo").event_trigger == "bbo"
    assert Key("trade", "A/B").event_trigger is None


def test_one_request_takes_what_is_alike_up_to_the_limit() -> None:
    table = SubscriptionTable(LIMIT)
    for key in KEYS:
        table.want(key)
    batches = []
    for req_id in range(1, 20):
        if table.due(0) is None:
            break
        batches.append(asked(table, req_id))
    assert batches[0] == ("subscribe", KEYS[:3])
    assert batches[1] == ("subscribe", KEYS[3:4])
    assert sorted(key for _, keys in batches for key in keys if key.symbol) == sorted(KEYS[:-1])
    for _, keys in batches:
        assert len({(key.channel, key.option) for key in keys}) == 1


def test_what_was_never_asked_for_is_gone_at_once() -> None:
    table = SubscriptionTable(LIMIT)
    table.want(BOOK)
    assert table.unwant(BOOK)
    assert table.unwant(BOOK), "and again does no harm"
    assert len(table) == 0
    assert table.due(0) is None


def test_unwanted_while_subscribing_is_left_once_it_is_acknowledged() -> None:
    table = SubscriptionTable(LIMIT)
    table.want(BOOK)
    asked(table, 1)
    assert not table.unwant(BOOK)
    assert table.due(0) is None
    confirm(table, 1, "BTC/USD")
    assert asked(table, 2) == ("unsubscribe", [BOOK])
    confirm(table, 2, "BTC/USD")
    assert table.get(BOOK) is None


def test_wanted_again_while_leaving_is_subscribed_anew() -> None:
    table, sub = active(BOOK)
    table.unwant(BOOK)
    asked(table, 2)
    assert table.want(BOOK) is sub
    assert table.due(0) is None, "one request at a time"
    confirm(table, 2, "BTC/USD")
    assert asked(table, 3) == ("subscribe", [BOOK])


def test_wanted_again_before_it_left_stays() -> None:
    table, sub = active(BOOK)
    table.unwant(BOOK)
    table.want(BOOK)
    assert table.due(0) is None
    assert sub.state is State.ACTIVE


def test_renewal_waits_for_its_moment_and_then_leaves_and_comes_back() -> None:
    table, sub = active(BOOK)
    table.renew(BOOK, 50)
    assert table.due(49) is None
    assert table.next_deadline(49) == 50
    assert asked(table, 2, now=50) == ("unsubscribe", [BOOK])
    confirm(table, 2, "BTC/USD")
    assert asked(table, 3, now=51) == ("subscribe", [BOOK])
    confirm(table, 3, "BTC/USD")
    assert sub.state is State.ACTIVE
    assert table.due(10**9) is None, "once"


def test_renewal_before_the_ack_is_not_forgotten() -> None:
    table = SubscriptionTable(LIMIT)
    table.want(BOOK)
    asked(table, 1)
    table.renew(BOOK, 0)
    confirm(table, 1, "BTC/USD")
    assert asked(table, 2) == ("unsubscribe", [BOOK])


def test_renewal_of_what_nobody_wants_is_nothing() -> None:
    table, _ = active(BOOK)
    table.renew(KEYS[1], 0)
    table.unwant(BOOK)
    table.renew(BOOK, 50)
    assert asked(table, 2, now=0) == ("unsubscribe", [BOOK])


def test_unwanted_during_a_delayed_renewal_leaves_at_once() -> None:
    table, _ = active(BOOK)
    table.renew(BOOK, 10**9)
    table.unwant(BOOK)
    assert asked(table, 2) == ("unsubscribe", [BOOK])


def test_answers_come_one_symbol_at_a_time() -> None:
    table = SubscriptionTable(LIMIT)
    subs = [table.want(key) for key in KEYS[:3]]
    asked(table, 1)
    confirm(table, 1, "ETH/USD")
    assert [sub.state for sub in subs] == [State.SUBSCRIBING, State.ACTIVE, State.SUBSCRIBING]
    assert answered(table, 1, "ETH/USD", all_of_it=False) is None, "answered before"
    assert answered(table, 1, "DOT/USD", all_of_it=False) is None, "not asked for"
    assert answered(table, 1, "ETH/USD", all_of_it=True) is None, "answered before, and a refusal of nothing else"
    assert answered(table, 1, None, all_of_it=False) is None, "a success without a symbol tells nothing"
    answer = answered(table, 1, None, all_of_it=True)
    assert answer is not None
    assert answer[1] == [subs[0], subs[2]]
    assert answered(table, 1, "BTC/USD", all_of_it=True) is None, "everything is answered"


@pytest.mark.parametrize("req_id", [None, 0, 2, -1, 10**30])
def test_answer_to_no_request_is_nobodys(req_id: int | None) -> None:
    table = SubscriptionTable(LIMIT)
    table.want(BOOK)
    asked(table, 1)
    assert answered(table, req_id, "BTC/USD", all_of_it=True) is None


def test_late_requests_expire_with_what_they_still_wait_for() -> None:
    table = SubscriptionTable(LIMIT)
    for key in KEYS[:2]:
        table.want(key)
    asked(table, 1, deadline=100)
    confirm(table, 1, "BTC/USD")
    assert table.expired(99) == []
    assert table.next_deadline(0) == 100
    (pending,) = table.expired(100)
    assert isinstance(pending, Pending)
    assert (pending.req_id, pending.method, list(pending.waiting)) == (1, "subscribe", ["ETH/USD"])
    assert table.expired(100) == []
    assert answered(table, 1, "ETH/USD", all_of_it=True) is None, "too late"


def test_refused_for_now_is_asked_again_at_its_moment() -> None:
    table = SubscriptionTable(LIMIT)
    sub = table.want(BOOK)
    asked(table, 1)
    answered(table, 1, "BTC/USD", all_of_it=True)
    assert table.again(sub, 70)
    assert sub.attempts == 1
    assert table.due(69) is None
    assert table.next_deadline(0) == 70
    assert asked(table, 2, now=70) == ("subscribe", [BOOK])


def test_refused_for_now_and_no_longer_desired_is_forgotten() -> None:
    table = SubscriptionTable(LIMIT)
    sub = table.want(BOOK)
    asked(table, 1)
    table.unwant(BOOK)
    answered(table, 1, "BTC/USD", all_of_it=True)
    assert not table.again(sub, 70)
    assert table.get(BOOK) is None


@pytest.mark.parametrize("desired", [True, False])
def test_end_that_was_refused_for_now_is_asked_for_again(desired: bool) -> None:
    table, sub = active(BOOK)
    if desired:
        table.renew(BOOK, 0)
    else:
        table.unwant(BOOK)
    asked(table, 2)
    answered(table, 2, "BTC/USD", all_of_it=True)
    table.stay(sub, 40)
    assert table.due(39) is None
    assert table.next_deadline(0) == 40
    assert asked(table, 3, now=40) == ("unsubscribe", [BOOK])


def test_disconnect_makes_everything_desired_wanted_and_forgets_the_rest() -> None:
    table = SubscriptionTable(LIMIT)
    for key in KEYS[:4]:
        table.want(key)
    asked(table, 1)
    confirm(table, 1, "BTC/USD")
    table.renew(BOOK, 10**9)
    table.unwant(KEYS[1])
    table.disconnected()
    assert {sub.key: sub.state for sub in table} == dict.fromkeys((KEYS[0], KEYS[2], KEYS[3]), State.WANTED)
    assert answered(table, 1, "XRP/USD", all_of_it=True) is None, "answers of the old connection are void"
    assert asked(table, 2) == ("subscribe", [KEYS[0], KEYS[2], KEYS[3]])


class UnreliableExchange(RuleBasedStateMachine):
    """Wishes change at any time; the exchange answers in any order, late, not at all, or refuses for a while."""

    @initialize()
    def start(self) -> None:
        self.table = SubscriptionTable(LIMIT)
        self.desired: set[Key] = set()
        self.held: set[Key] = set()
        """What the exchange would send."""
        self.open: dict[int, tuple[str, dict[str | None, Key], int]] = {}
        """Requests that may still be answered: method, what is unanswered, deadline."""
        self.now = 0
        self.req_id = 0

    @rule(key=st.sampled_from(KEYS))
    def want(self, key: Key) -> None:
        self.desired.add(key)
        assert self.table.want(key).key == key

    @rule(key=st.sampled_from(KEYS))
    def unwant(self, key: Key) -> None:
        self.desired.discard(key)
        if self.table.unwant(key):
            assert self.table.get(key) is None

    @rule(key=st.sampled_from(KEYS), later=st.integers(0, 5))
    def renew(self, key: Key, later: int) -> None:
        self.table.renew(key, self.now + later)

    @rule()
    def send(self) -> None:
        plan = self.table.due(self.now)
        if plan is None:
            return
        method, subs = plan
        keys = [sub.key for sub in subs]
        assert 1 <= len(keys) <= LIMIT
        assert len({(key.channel, key.option) for key in keys}) == 1
        outstanding = {key for _, waiting, _ in self.open.values() for key in waiting.values()}
        assert not outstanding & set(keys), "never two requests for one subscription"
        if method == "subscribe":
            assert self.desired.issuperset(keys)
        self.req_id += 1
        self.open[self.req_id] = (method, {key.symbol: key for key in keys}, self.now + 10)
        self.table.sent(self.req_id, method, subs, self.now + 10)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), refused=st.sampled_from([False, False, False, True]))
    def answer_one(self, data: st.DataObject, refused: bool) -> None:
        req_id = data.draw(st.sampled_from(sorted(self.open)))
        _, waiting, _ = self.open[req_id]
        symbol = data.draw(st.sampled_from(sorted(waiting, key=str)))
        self._answer(req_id, symbol, refused)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def refuse_the_whole_request(self, data: st.DataObject) -> None:
        req_id = data.draw(st.sampled_from(sorted(self.open)))
        method, waiting, _ = self.open.pop(req_id)
        answer = answered(self.table, req_id, None, all_of_it=True)
        assert answer is not None
        assert (answer[0], {sub.key for sub in answer[1]}) == (method, set(waiting.values()))
        for sub in answer[1]:
            self._refuse(method, sub)

    @rule(req_id=st.integers(1000, 2000), symbol=st.sampled_from(["BTC/USD", None]))
    def answer_to_nothing(self, req_id: int, symbol: str | None) -> None:
        assert answered(self.table, req_id, symbol, all_of_it=True) is None

    @rule(seconds=st.integers(1, 12))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        late = {req_id for req_id, (_, _, deadline) in self.open.items() if deadline <= self.now}
        expired = self.table.expired(self.now)
        assert {pending.req_id for pending in expired} == late
        for pending in expired:
            _, waiting, _ = self.open.pop(pending.req_id)
            assert {sub.key for sub in pending.waiting.values()} == set(waiting.values())
            for sub in pending.waiting.values():
                if pending.method == "unsubscribe":
                    self.held.discard(sub.key)
                    self.table.left(sub)
                elif sub.desired:
                    self.table.again(sub, self.now)
                else:
                    self.table.active(sub)

    @rule()
    def disconnect(self) -> None:
        self.open.clear()
        self.held.clear()
        self.table.disconnected()

    @invariant()
    def states_tell_what_is_outstanding(self) -> None:
        outstanding = {key: method for method, waiting, _ in self.open.values() for key in waiting.values()}
        for sub in self.table:
            busy = {"subscribe": State.SUBSCRIBING, "unsubscribe": State.LEAVING}.get(outstanding.get(sub.key, ""))
            assert (sub.state is busy) if busy else sub.state in (State.WANTED, State.ACTIVE)
            assert sub.desired == (sub.key in self.desired)
        assert {sub.key for sub in self.table} >= self.desired

    def teardown(self) -> None:
        """Once the exchange answers everything, it has exactly what is desired."""
        if not hasattr(self, "table"):
            return
        for _ in range(400):
            self.send()
            for req_id in list(self.open):
                for symbol in list(self.open[req_id][1]):
                    self._answer(req_id, symbol, refused=False)
            if self.table.due(self.now) is None:
                deadline = self.table.next_deadline(self.now)
                if deadline is None:
                    break
                self.now = deadline
        assert not self.open
        assert {sub.key: sub.state for sub in self.table} == dict.fromkeys(self.desired, State.ACTIVE)
        assert self.held == self.desired

    def _answer(self, req_id: int, symbol: str | None, refused: bool) -> None:
        method, waiting, _ = self.open[req_id]
        key = waiting.pop(symbol)
        if not waiting:
            del self.open[req_id]
        answer = answered(self.table, req_id, symbol, all_of_it=False)
        assert answer is not None
        assert answer[0] == method
        (sub,) = answer[1]
        assert sub.key == key
        if refused:
            self._refuse(method, sub)
        elif method == "subscribe":
            self.held.add(key)
            self.table.active(sub)
        else:
            self.held.discard(key)
            assert self.table.left(sub) == (key in self.desired)

    def _refuse(self, method: str, sub: Subscription) -> None:
        if method == "unsubscribe":
            self.table.stay(sub, self.now + 3)
        else:
            assert self.table.again(sub, self.now + 3) == (sub.key in self.desired)


TestUnreliableExchange = UnreliableExchange.TestCase
TestUnreliableExchange.settings = settings(stateful_step_count=40)
