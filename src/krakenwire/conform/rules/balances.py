"""PROTOCOL 4.2: what is told of one's funds."""

from __future__ import annotations

from decimal import Decimal

from krakenwire.conform.rule import rule
from krakenwire.conform.rules.executions import expect_rising
from krakenwire.conform.shape import expect_shape
from krakenwire.conform.subject import Subject
from krakenwire.conform.verdict import NotTested, broken, expect
from krakenwire.conform.wire import Frame, Item, in_words

__all__ = [
    "balances_entry_fields",
    "balances_running",
    "balances_sequence",
    "balances_snapshot",
    "balances_two_entries_share_ref",
]

ENTRY = {
    "asset": "text",
    "asset_class": "currency|",
    "amount": "number",
    "balance": "number",
    "fee": "number",
    "ledger_id": "text",
    "ref_id": "text",
    "timestamp": "time",
    "type": "trade|",
    "category": "trade|",
    "wallet_type": "spot|",
    "wallet_id": "main|",
}
WALLETS = "main|flex|bonded|flexible|liquid|locked|closed"


async def _snapshot(subject: Subject) -> Frame:
    line = await subject.desk.line()
    found = await line.wait(lambda frame: frame.channel == "balances" and frame.kind == "snapshot")
    if found is None:
        broken("a snapshot of balances", f"none within {line.patience:g} s")
    return found


@rule("balances.snapshot", "4.2", "DOC", lane="account")
async def balances_snapshot(subject: Subject) -> str | None:
    """The snapshot has each asset with its balance, which is the sum of its wallets."""
    snapshot = await _snapshot(subject)
    for item in snapshot.data:
        expect_shape(item, {"asset": "text", "asset_class": "currency|", "balance": "number", "wallets": "list"})
        total = Decimal(0)
        for wallet in item.items("wallets"):
            expect_shape(wallet, {"type": "spot|earn", "id": WALLETS, "balance": "number"})
            total += wallet.number("balance")
        expect(total == item.number("balance"), f"wallets of {item.number('balance')} in all", total, snapshot)
    return f"{len(snapshot.data)} assets"


@rule("balances.sequence", "4.2", "DOC", lane="account")
async def balances_sequence(subject: Subject) -> str | None:
    """Every message has an integer `sequence`, above that of the message before it."""
    await subject.desk.filled()
    return await expect_rising(subject, "balances")


@rule("balances.entry_fields", "4.2", "DOC", lane="account")
async def balances_entry_fields(subject: Subject) -> str | None:
    """An update is an entry of the ledger: asset, amount, fee, balance after it, ids, type, category and wallet."""
    entries = (await subject.desk.filled()).entries
    if not entries:
        raise NotTested("needs an update of balances after a fill, which did not come")
    for entry in entries:
        expect_shape(entry, ENTRY)
    return f"{len(entries)} entries"


@rule("balances.two_entries_share_ref", "4.2", "DOC", lane="account")
async def balances_two_entries_share_ref(subject: Subject) -> str | None:
    """A trade makes two entries, of the base and of the quote asset, with one `ref_id`."""
    fill = await subject.desk.filled()
    pair = await subject.pair()
    wanted = {pair.text("base"), pair.text("quote")}
    by_ref: dict[str, list[Item]] = {}
    for entry in fill.entries:
        by_ref.setdefault(entry.text("ref_id"), []).append(entry)
    trades = sum(report.get("exec_type") == "trade" for report in fill.reports)
    expect(len(by_ref) == trades, f"{trades} ref_id(s), one a fill", len(by_ref))
    for ref_id, entries in by_ref.items():
        assets = sorted(entry.text("asset") for entry in entries)
        expect(assets == sorted(wanted), f"entries of {' and '.join(sorted(wanted))} for {ref_id}", in_words(assets))
    return f"{trades} fill(s)"


@rule("balances.running", "4.2", "DOC", lane="account")
async def balances_running(subject: Subject) -> str | None:
    """The balance of an entry is the one before it plus the amount less the fee."""
    await subject.desk.filled()
    line = await subject.desk.line()
    held: dict[str, Decimal] = {}
    count = 0
    for frame in line.frames:
        if frame.channel != "balances":
            continue
        for item in frame.data:
            asset = item.text("asset")
            if frame.kind == "snapshot":
                held[asset] = item.number("balance")
                continue
            count += 1
            wanted = held.get(asset, Decimal(0)) + item.number("amount") - item.number("fee")
            expect(item.number("balance") == wanted, f"a balance of {wanted} {asset}", item.number("balance"), frame)
            held[asset] = wanted
    if not count:
        raise NotTested("needs an update of balances after a fill, which did not come")
    return f"{count} entries"
