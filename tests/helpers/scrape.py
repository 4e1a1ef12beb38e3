"""A scrape, as Prometheus would make one: over HTTP, parsed by its own parser."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Scrape", "fetch", "scrape"]


class Scrape:
    """What one scrape gave.

    Attributes:
        families: by name, as the parser gives them (a counter's without `_total`).
        text: as it came.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The one sample of `krakenwire_{name}` with exactly these labels; `client` is `default` if not given.

        Raises:
            KeyError: there is none.
        """
        return self._values[f"krakenwire_{name}", frozenset({"client": "default", **labels}.items())]

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of `krakenwire_{name}` that have these labels and whatever others."""
        wanted = labels.items()
        return sum(value for (of, has), value in self._values.items() if of == f"krakenwire_{name}" and wanted <= has)

    def label_sets(self, names: Iterable[str]) -> dict[str, set[str]]:
        """The names of the labels that the samples of each metric have."""
        found: dict[str, set[str]] = {name: set() for name in names}
        for name, labels in self._values:
            if name in found:
                found[name] |= {label for label, _ in labels}
        return found


def fetch(url: str) -> str:
    """What is served at `url`, of any thread but the feed's."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # our own server's
        text: str = answer.read().decode()
    return text


async def scrape(url: str) -> Scrape:
    """Scrape `url` while the running loop goes on."""
    return Scrape(await asyncio.to_thread(fetch, url))
