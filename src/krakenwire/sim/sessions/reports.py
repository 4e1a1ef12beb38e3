"""The text of the private channels: what happened to orders and balances, as Kraken words it (PROTOCOL 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal

import msgspec

from ..engine.engine import Engine
from ..engine.model import Execution, LedgerEntry, OrderState, Report
from ..feed.wire import format_time
from ..instruments import ListedAsset

__all__ = ["ReportText", "encode_private"]

USD = "USD"

_ROUNDING = Context(prec=100, rounding=ROUND_HALF_UP)


def encode_private(channel: str, kind: str, records: Iterable[str], sequence: int) -> bytes:
    """A frame of `executions` or `balances`.

    Args:
        channel: which of them.
        kind: `snapshot` or `update`.
        records: the objects in it.
        sequence: the number of the frame in its subscription, from 1.
    """
    return (f'{{"channel":"{channel}","type":"{kind}","data":[{",".join(records)}],"sequence":{sequence}}}').encode()


class ReportText:
    """Writes orders, fills and ledger entries at the precisions of their instruments and assets.

    The fields and their order are those of frames seen on the wire: an order without an id of the client's shows the
    `order_userref` 0, one with a `cl_ord_id` no `order_userref`; fees are padded to the pair's cost precision;
    `fee_usd_equiv` is left out where no books of this exchange tell what the quote asset is worth.

    Args:
        engine: knows the instruments, and what a quote asset is worth.
        assets: their precisions.
    """

    def __init__(self, engine: Engine, assets: Iterable[ListedAsset]) -> None:
        self._engine = engine
        self._precisions: Mapping[str, int] = {asset.id: asset.precision for asset in assets}

    def update(self, report: Report) -> str:
        """What a report adds to what is known of its order: sparse, but for the first one (PROTOCOL 4.1)."""
        order, kind = report.order, report.exec_type
        if report.execution is not None:
            return self._trade(report, report.execution, self._progress(order))
        if kind == "pending_new":
            return _object(self._whole(order, "pending_new"))
        fields = [f'"timestamp":"{format_time(report.exchange_ns)}"']
        status, type_ = f'"order_status":"{order.status}"', f'"exec_type":"{kind}"'
        if kind in {"amended", "restated"}:
            fields += [type_, status, *self._amended(order)]
        else:
            fields += [status, type_]
            if kind != "new":
                cum_qty, cum_cost, avg_price = self._progress(order)
                fields += [cum_qty, cum_cost, *self._usd_fee(order.symbol, order.fee), avg_price]
        fields += _ids(order)
        if order.post_only:
            fields.append('"post_only":true')
        if kind in {"canceled", "expired"} and order.reason is not None:
            reason = _text(order.reason)
            fields += [f'"cancel_reason":{reason}', f'"reason":{reason}']
        fields.append(f'"order_id":"{order.order_id}"')
        return _object(fields)

    def open_order(self, order: OrderState) -> str:
        """An open order as the snapshot has it: everything there is to know."""
        fields = self._whole(order, "new")
        fields[-1:] = [*self._progress(order, cum_cost=False), fields[-1]]
        if order.amended:
            fields.append('"amended":true')
        return _object(fields)

    def fill(self, report: Report) -> str:
        """A fill as the snapshot has it; there, what completed its order is `filled`."""
        order, execution = report.order, report.execution
        if execution is None:
            return self.update(report)
        if order.cum_qty == order.order_qty:
            report = msgspec.structs.replace(report, order=msgspec.structs.replace(order, status="filled"))
        return self._trade(report, execution, [])

    def balance(self, asset: str, amount: Decimal) -> str:
        """What is held of an asset as the snapshot has it (PROTOCOL 4.2)."""
        text = self._money(asset, amount)
        return (
            f'{{"asset":"{asset}","asset_class":"currency","balance":{text},'
            f'"wallets":[{{"type":"spot","id":"main","balance":{text}}}]}}'
        )

    def entry(self, entry: LedgerEntry) -> str:
        """A ledger entry (PROTOCOL 4.2)."""
        asset = entry.asset
        return (
            f'{{"ledger_id":"{entry.ledger_id}","ref_id":"{entry.ref_id}",'
            f'"timestamp":"{format_time(entry.exchange_ns)}","type":"{entry.kind}","asset":"{asset}",'
            f'"asset_class":"currency","category":"{entry.kind}","wallet_type":"spot","wallet_id":"main",'
            f'"amount":{self._money(asset, entry.amount)},"fee":{self._money(asset, entry.fee)},'
            f'"balance":{self._money(asset, entry.balance)}}}'
        )

    # --- parts of an order --------------------------------------------------------------------------------

    def _whole(self, order: OrderState, exec_type: str) -> list[str]:
        instrument = self._engine.instrument(order.symbol)
        price = instrument.price_precision
        fields = [
            f'"order_id":"{order.order_id}"',
            f'"symbol":"{order.symbol}"',
            f'"order_qty":{_number(order.order_qty, instrument.qty_precision)}',
            f'"cum_cost":{_number(order.cum_cost, instrument.cost_precision)}',
            f'"time_in_force":"{order.time_in_force.upper()}"',
            f'"exec_type":"{exec_type}"',
            f'"side":"{order.side}"',
            f'"order_type":"{order.order_type}"',
            *_ids(order),
        ]
        if order.limit_price is not None:
            fields += ['"limit_price_type":"static"', f'"limit_price":{_number(order.limit_price, price)}']
        fields.append(f'"stop_price":{_number(Decimal(0), price)}')
        if order.expire_ns is not None:
            fields.append(f'"expire_time":"{format_time(order.expire_ns)}"')
        if order.post_only:
            fields.append('"post_only":true')
        fields += [
            f'"order_status":"{order.status}"',
            *self._usd_fee(order.symbol, order.fee),
            '"fee_ccy_pref":"fciq"',
            f'"timestamp":"{format_time(order.updated_ns)}"',
        ]
        return fields

    def _progress(self, order: OrderState, *, cum_cost: bool = True) -> list[str]:
        instrument = self._engine.instrument(order.symbol)
        fields = [f'"cum_qty":{_number(order.cum_qty, instrument.qty_precision)}']
        if cum_cost:
            fields.append(f'"cum_cost":{_number(order.cum_cost, instrument.cost_precision)}')
        fields.append(f'"avg_price":{_number(order.avg_price, instrument.price_precision)}')
        return fields

    def _amended(self, order: OrderState) -> list[str]:
        instrument = self._engine.instrument(order.symbol)
        fields = [f'"cum_qty":{_number(order.cum_qty, instrument.qty_precision)}']
        fields.append(f'"reason":{_text(order.reason or "User requested")}')
        if order.amended:
            fields.append('"amended":true')
        fields.append(f'"order_qty":{_number(order.order_qty, instrument.qty_precision)}')
        if order.limit_price is not None:
            limit_price = _number(order.limit_price, instrument.price_precision)
            fields += [f'"limit_price":{limit_price}', '"limit_price_type":"static"']
        return fields

    def _trade(self, report: Report, execution: Execution, progress: list[str]) -> str:
        order = report.order
        instrument = self._engine.instrument(order.symbol)
        fee = _number(execution.fee, instrument.cost_precision)
        return _object(
            [
                f'"order_id":"{order.order_id}"',
                *_ids(order),
                f'"exec_id":"{execution.exec_id}"',
                '"exec_type":"trade"',
                f'"trade_id":{execution.trade_id}',
                f'"symbol":"{order.symbol}"',
                f'"side":"{order.side}"',
                f'"last_qty":{_number(execution.qty, instrument.qty_precision)}',
                f'"last_price":{_number(execution.price, instrument.price_precision)}',
                f'"liquidity_ind":"{"m" if execution.is_maker else "t"}"',
                f'"cost":{_number(execution.cost, instrument.cost_precision)}',
                f'"order_type":"{order.order_type}"',
                f'"timestamp":"{format_time(report.exchange_ns)}"',
                f'"order_status":"{order.status}"',
                *progress,
                *self._usd_fee(order.symbol, execution.fee),
                f'"fees":[{{"asset":"{execution.fee_asset}","qty":{fee}}}]',
            ]
        )

    def _money(self, asset: str, amount: Decimal) -> str:
        return _number(amount, self._precisions.get(asset, 0))

    def _usd_fee(self, symbol: str, fee: Decimal) -> list[str]:
        """A fee in the quote asset of `symbol`, in US dollars; [] if nobody bids for what would tell its worth."""
        instrument = self._engine.instrument(symbol)
        worth = self._worth(instrument.quote)
        if worth is None:
            return []
        decimals = instrument.cost_precision
        amount = _ROUNDING.multiply(fee, worth)
        if instrument.quote != USD:
            amount = amount.quantize(Decimal(1).scaleb(-decimals), context=_ROUNDING)
        return [f'"fee_usd_equiv":{_number(amount, decimals)}']

    def _worth(self, asset: str) -> Decimal | None:
        """What one of `asset` is worth in US dollars: by its own book, or by something that is sold for both."""
        if asset == USD:
            return Decimal(1)
        direct = self._bid(f"{asset}/{USD}")
        if direct is not None:
            return direct
        for symbol in self._engine.books:
            base, quote = symbol.split("/")
            if quote == asset:
                in_usd, in_asset = self._bid(f"{base}/{USD}"), self._bid(symbol)
                if in_usd is not None and in_asset is not None:
                    return _ROUNDING.divide(in_usd, in_asset)
        return None

    def _bid(self, symbol: str) -> Decimal | None:
        """The best bid of a book; None if it has none, or there is no such book."""
        book = self._engine.books.get(symbol)
        if book is None or not book.bids.keys:
            return None
        return Decimal(-book.bids.keys[0]).scaleb(-self._engine.instrument(symbol).price_precision)


def _ids(order: OrderState) -> list[str]:
    if order.cl_ord_id is not None:
        return [f'"cl_ord_id":{_text(order.cl_ord_id)}']
    return [f'"order_userref":{order.order_userref or 0}']


def _object(fields: Iterable[str]) -> str:
    return f"{{{','.join(fields)}}}"


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _number(number: Decimal, precision: int) -> str:
    """All digits of a number, padded to `precision` decimals, without an exponent."""
    text = f"{number:f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.ljust(precision, "0")
    return f"{whole}.{decimals}" if decimals else whole
