"""Prometheus metrics of a client, for operators; needs the extra `metrics`.

::

    async with Client() as kraken, start_metrics(kraken, 9464):
        ...

docs/metrics.md tables every metric; `deploy/` has a dashboard and alert rules made for them.
"""

try:
    import prometheus_client as _  # noqa: F401  # to say what is missing before anything else does
except ImportError as error:
    raise ImportError("krakenwire.metrics needs the extra `metrics`: pip install 'krakenwire[metrics]'") from error

from krakenwire.metrics.collector import ClientCollector
from krakenwire.metrics.server import MetricsServer, start_metrics

__all__ = ["ClientCollector", "MetricsServer", "start_metrics"]
