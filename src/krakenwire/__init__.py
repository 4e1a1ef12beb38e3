"""krakenwire: Kraken's real-time market data, with order books proven by checksum after every message.

::

    async with Client() as kraken:
        async for trade in kraken.trades("BTC/USD", "ETH/USD"):
            print(trade.symbol, trade.price, trade.qty)
"""

from krakenwire._version import __version__
from krakenwire.book import KERNEL, Book, BookSnapshot, BookUpdate
from krakenwire.client import Client
from krakenwire.clock import Clock, ManualClock, SystemClock
from krakenwire.errors import (
    BookUnsynced,
    ConnectFailed,
    ConnectionClosed,
    DataLost,
    FrameError,
    KrakenwireError,
    NotEnoughLiquidity,
    ProtocolError,
    ReaderClosed,
    ReaderOverrun,
    SubscriptionRejected,
    SubscriptionTimeout,
    UnknownSymbol,
    UsageError,
)
from krakenwire.events import (
    Asset,
    BookInvalidated,
    BookQuarantined,
    BookResynced,
    Connected,
    Disconnected,
    Event,
    ExchangeError,
    Gap,
    Heartbeat,
    Instrument,
    Level,
    Loss,
    Message,
    Ohlc,
    Pong,
    Raw,
    Reply,
    Spread,
    Stamp,
    Subscribed,
    SubscribeRejected,
    SystemStatus,
    Ticker,
    Trade,
    Undecodable,
    Unsubscribed,
)
from krakenwire.hub import Reader, ReaderStatistics
from krakenwire.net.backoff import ConnectBudget
from krakenwire.net.endpoints import Endpoints
from krakenwire.protocol.options import Options
from krakenwire.protocol.report import Report
from krakenwire.protocol.statistics import Statistics
from krakenwire.streams import Streams

__all__ = [
    "KERNEL",
    "Asset",
    "Book",
    "BookInvalidated",
    "BookQuarantined",
    "BookResynced",
    "BookSnapshot",
    "BookUnsynced",
    "BookUpdate",
    "Client",
    "Clock",
    "ConnectBudget",
    "ConnectFailed",
    "Connected",
    "ConnectionClosed",
    "DataLost",
    "Disconnected",
    "Endpoints",
    "Event",
    "ExchangeError",
    "FrameError",
    "Gap",
    "Heartbeat",
    "Instrument",
    "KrakenwireError",
    "Level",
    "Loss",
    "ManualClock",
    "Message",
    "NotEnoughLiquidity",
    "Ohlc",
    "Options",
    "Pong",
    "ProtocolError",
    "Raw",
    "Reader",
    "ReaderClosed",
    "ReaderOverrun",
    "ReaderStatistics",
    "Reply",
    "Report",
    "Spread",
    "Stamp",
    "Statistics",
    "Streams",
    "SubscribeRejected",
    "Subscribed",
    "SubscriptionRejected",
    "SubscriptionTimeout",
    "SystemClock",
    "SystemStatus",
    "Ticker",
    "Trade",
    "Undecodable",
    "UnknownSymbol",
    "Unsubscribed",
    "UsageError",
    "__version__",
]
