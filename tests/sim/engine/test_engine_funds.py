"""What fills cost, what open orders hold back, and that no money is made or lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest

from helpers.engines import ASSETS, COIN, LISTINGS, START_NS, TOKEN, alice_and_bob, engine_with, limit, market, quote
from krakenwire.errors import UsageError
from krakenwire.sim.engine.engine import Engine
from krakenwire.sim.engine.model import Account, AmendOrder, FeeTier, Refusal

D = Decimal


def conserved(engine: Engine) -> bool:
    """Whether all money that was brought in is still somewhere."""
    totals = engine.totals().values()
    return all(each.accounts + each.background + each.fees == each.deposited for each in totals)


def test_resting_buy_holds_its_value_and_the_dearer_fee() -> None:
    engine = engine_with()
    engine.add("alice", limit("buy", "33.3", "0.33"))
    # 33.3 x 0.33 = 10.989, up to the cent; its fee of 0.4 % = 0.043956, up to the cent.
    assert engine.available("alice", "USD") == D(10000) - D("10.99") - D("0.05")
    assert engine.balances("alice")["USD"] == 10000
    assert engine.available("alice", "COIN") == 10000


def test_maker_fee_is_held_where_it_is_the_dearer() -> None:
    engine = engine_with(alice_and_bob(fees=FeeTier(maker=D("0.01"), taker=D("0.001"))))
    engine.add("alice", limit("buy", "100.0", "1.00"))
    assert engine.available("alice", "USD") == D(10000) - D("101.00")


def test_resting_sell_holds_its_quantity() -> None:
    engine = engine_with()
    engine.add("alice", limit("sell", "33.3", "0.33"))
    assert engine.available("alice", "COIN") == D(10000) - D("0.33")
    assert engine.available("alice", "USD") == 10000


def test_holds_of_all_symbols_come_out_of_one_balance() -> None:
    engine = engine_with(alice_and_bob("100"))
    engine.add("alice", limit("buy", "50.0", "1.00"))
    with pytest.raises(Refusal, match="Insufficient funds"):
        engine.add("alice", limit("buy", "5.00", "10.0", symbol=TOKEN))
    assert engine.add("alice", limit("buy", "4.90", "10.0", symbol=TOKEN)).status == "new"


def test_cancelling_gives_the_hold_back() -> None:
    engine = engine_with()
    engine.add("alice", limit("buy", "33.3", "0.33"))
    engine.cancel_all("alice")
    assert engine.available("alice", "USD") == 10000


def test_amending_changes_the_hold() -> None:
    engine = engine_with(alice_and_bob("100.40"))
    state = engine.add("alice", limit("buy", "100.0", "1.00"))
    assert engine.available("alice", "USD") == 0
    engine.amend("alice", AmendOrder(order_id=state.order_id, order_qty=D("0.50")))
    assert engine.available("alice", "USD") == D("50.20")
    engine.amend("alice", AmendOrder(order_id=state.order_id, limit_price=D("200.0")))
    assert engine.available("alice", "USD") == 0
    with pytest.raises(Refusal, match="Insufficient funds"):
        engine.amend("alice", AmendOrder(order_id=state.order_id, limit_price=D("200.1")))


def test_buyer_pays_what_the_seller_gets_and_both_pay_their_fee() -> None:
    engine = engine_with()
    engine.add("bob", limit("sell", "33.3", "0.33"))
    engine.drain()
    engine.add("alice", limit("buy", "40.0", "0.33"))
    _, reports, entries = engine.drain()
    # Worth 10.989: down to the cent is moved, to three decimals is told as cost, and fees are 0.0275 and 0.044.
    assert [(each.account, each.asset, each.amount, each.fee) for each in entries] == [
        ("bob", "COIN", D("-0.33"), D(0)),
        ("bob", "USD", D("10.98"), D("0.03")),
        ("alice", "COIN", D("0.33"), D(0)),
        ("alice", "USD", D("-10.98"), D("0.04")),
    ]
    assert [each.execution.cost for each in reports if each.execution] == [D("10.989")] * 2
    assert [each.execution.fee for each in reports if each.execution] == [D("0.03"), D("0.04")]
    assert entries[0].ref_id == entries[1].ref_id != entries[2].ref_id == entries[3].ref_id
    assert len({each.ledger_id for each in entries}) == 4
    assert [each.balance for each in entries] == [D("9999.67"), D("10010.95"), D("10000.33"), D("9988.98")]
    assert engine.balances("alice")["USD"] == engine.available("alice", "USD") == D("9988.98")
    assert engine.totals()["USD"].fees == D("0.07")
    assert engine.totals()["USD"].background == 0
    assert conserved(engine)


def test_cost_is_rounded_half_up_to_the_pairs_precision() -> None:
    engine = engine_with()
    engine.change_instrument(COIN, price_precision=3)
    quote(engine, "sell", "33.333", "0.35")
    assert engine.add("alice", market("buy", "0.35")).cum_cost == D("11.667")


def test_money_of_one_kind_covers_nothing_of_the_other() -> None:
    engine = engine_with([Account(name="usd", funds={"USD": D(1000)}), Account(name="coin", funds={"COIN": D(1000)})])
    wrong: list[tuple[str, Literal["buy", "sell"]]] = [("usd", "sell"), ("coin", "buy")]
    for name, side in wrong:
        for request in (limit(side, "100.0", "1.00"), limit(side, "100.0", "1.00", time_in_force="ioc")):
            with pytest.raises(Refusal, match=r"^EOrder:Insufficient funds$"):
                engine.add(name, request)
    assert engine.add("usd", limit("buy", "100.0", "1.00")).status == "new"
    assert engine.add("coin", limit("sell", "100.0", "1.00")).status == "filled"


def test_background_may_owe_what_it_sold() -> None:
    engine = engine_with()
    quote(engine, "sell", "100.0", "1.00")
    engine.add("alice", market("buy", "1.00"))
    totals = engine.totals()
    assert totals["COIN"].background == -1
    assert totals["USD"].background == 100
    assert conserved(engine)


def test_fees_are_rounded_over_the_whole_order() -> None:
    engine = engine_with()
    for price in ("10.0", "10.1", "10.2"):
        quote(engine, "sell", price, "0.30")
    state = engine.add("alice", limit("buy", "10.2", "0.90"))
    fees = [each.execution.fee for each in engine.drain().reports if each.execution]
    # 0.012, 0.02412 and 0.03636 are due after each.
    assert fees == [D("0.01"), D("0.01"), D("0.02")]
    assert state.fee == sum(fees)


def test_sellers_fee_is_never_more_than_what_it_gets() -> None:
    engine = engine_with(alice_and_bob("1000", fees=FeeTier(maker=D("0.9"), taker=D("0.9"))))
    quote(engine, "buy", "0.1", "0.19")
    quote(engine, "buy", "0.1", "9.00")
    engine.add("alice", limit("sell", "0.1", "9.19"))
    fees = [each.execution.fee for each in engine.drain().reports if each.execution]
    # The first fill brings 0.01, of which 0.0171 is due: 0.01 now, and the rest with the second.
    assert fees == [D("0.01"), D("0.82")]


def test_market_buy_must_be_covered_by_what_it_would_cost() -> None:
    engine = engine_with(alice_and_bob("301.20"))
    quote(engine, "sell", "100.0", "1.00")
    quote(engine, "sell", "200.0", "1.00")
    engine.add("alice", limit("buy", "1.0", "0.50"))
    with pytest.raises(Refusal, match=r"^EOrder:Insufficient funds$"):
        engine.add("alice", market("buy", "2.00"))
    engine.cancel_all("alice")
    assert engine.add("alice", market("buy", "2.00")).status == "filled"
    assert engine.balances("alice")["USD"] == 0


def test_market_buy_of_more_than_the_book_has_needs_only_what_the_book_has() -> None:
    engine = engine_with(alice_and_bob("100.40"))
    quote(engine, "sell", "100.0", "1.00")
    assert engine.add("alice", market("buy", "50.00")).cum_qty == 1
    assert engine.balances("alice")["USD"] == 0


def test_market_sell_needs_its_whole_quantity() -> None:
    engine = engine_with(alice_and_bob("1.00"))
    quote(engine, "buy", "100.0", "1.00")
    with pytest.raises(Refusal, match=r"^EOrder:Insufficient funds$"):
        engine.add("alice", market("sell", "1.01"))
    assert engine.add("alice", market("sell", "1.00")).status == "filled"


def test_taker_must_be_covered_at_its_limit_but_pays_the_makers_price() -> None:
    engine = engine_with(alice_and_bob("200.80"))
    quote(engine, "sell", "100.0", "1.00")
    with pytest.raises(Refusal, match=r"^EOrder:Insufficient funds$"):
        engine.add("alice", limit("buy", "200.1", "1.00"))
    engine.add("alice", limit("buy", "200.0", "1.00"))
    assert engine.balances("alice")["USD"] == D("100.40")


def test_base_quantity_is_never_rounded_even_if_the_asset_has_fewer_decimals() -> None:
    engine = engine_with()
    quote(engine, "sell", "2.00", "1.5", TOKEN)
    engine.add("alice", limit("buy", "2.00", "1.5", symbol=TOKEN))
    assert engine.balances("alice")["TOKEN"] == D("10001.5")


def test_deposit_is_told_and_counted() -> None:
    engine = engine_with()
    engine.advance(START_NS + 3)
    engine.deposit("alice", "USD", D("5.25"))
    moves, reports, entries = engine.drain()
    assert (moves, reports) == ([], [])
    (entry,) = entries
    assert (entry.kind, entry.amount, entry.fee, entry.balance) == ("deposit", D("5.25"), D(0), D("10005.25"))
    assert (entry.account, entry.asset, entry.exchange_ns) == ("alice", "USD", START_NS + 3)
    assert entry.ledger_id.startswith("L")
    assert engine.totals()["USD"].deposited == D("20005.25")
    assert conserved(engine)


def test_fill_of_a_maker_shrinks_its_hold() -> None:
    engine = engine_with()
    engine.add("alice", limit("buy", "100.0", "1.00"))
    engine.add("bob", limit("sell", "100.0", "0.25"))
    # 25 and a fee of 0.0625 paid; 75 and their fee at 0.4 %, 0.30, less what rounding has left, are held.
    assert engine.balances("alice")["USD"] == D(10000) - D("25.06")
    assert engine.available("alice", "USD") == D(10000) - D("25.06") - D("75.31")


def test_deep_numbers_stay_exact() -> None:
    engine = engine_with(alice_and_bob("900000000000000000000000"))
    quote(engine, "sell", "123456789.1", "999999999999.99")
    engine.add("alice", limit("buy", "123456789.1", "999999999999.99", symbol=COIN))
    assert engine.balances("alice")["COIN"] == D("900000000000999999999999.99")
    assert conserved(engine)


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (Account(name="alice", funds={}), "there is an account 'alice' already"),
        (Account(name="carol", funds={"XYZ": D(1)}), "unknown asset 'XYZ'; there are: USD, COIN, TOKEN"),
        (Account(name="carol", funds={"USD": D(-1)}), "what 'carol' holds of USD must be from 0"),
        (Account(name="carol", funds={"USD": D("NaN")}), "what 'carol' holds of USD must be from 0"),
        (Account(name="carol", funds={"USD": D("1E+24")}), "what 'carol' holds of USD must be from 0"),
        (Account(name="carol", funds={"USD": D("1E-19")}), "what 'carol' holds of USD must be from 0"),
        (Account(name="carol", funds={}, fees=FeeTier(maker=D("-0.1"))), "a fee of 'carol' must be from 0"),
        (Account(name="carol", funds={}, fees=FeeTier(taker=D(1))), "a fee of 'carol' is a fraction"),
    ],
)
def test_account_that_makes_no_sense_cannot_be_opened(account: Account, message: str) -> None:
    engine = engine_with()
    with pytest.raises(UsageError, match=message):
        engine.open_account(account)
    assert engine.accounts() == ("alice", "bob")


@pytest.mark.parametrize("amount", ["0", "-1", "Infinity", "1E+30"])
def test_deposit_that_makes_no_sense_is_refused(amount: str) -> None:
    engine = engine_with()
    with pytest.raises(UsageError, match="a deposit of USD must be"):
        engine.deposit("alice", "USD", D(amount))
    assert not engine.has_effects


def test_unknown_account_and_asset_are_named() -> None:
    engine = engine_with()
    for call in (engine.balances, engine.open_orders, engine.recent_fills, engine.cancel_all):
        with pytest.raises(UsageError, match="no account 'carol'; there are: alice, bob"):
            call("carol")
    with pytest.raises(UsageError, match="unknown asset 'XYZ'"):
        engine.deposit("alice", "XYZ", D(1))


def test_listing_in_an_unknown_asset_cannot_be_traded() -> None:
    with pytest.raises(UsageError, match="unknown asset 'TOKEN'; there are: USD, COIN"):
        Engine(LISTINGS, ASSETS[:2], start_ns=START_NS)
