"""From moves of the market to frames, once per stream, whoever listens."""

__all__: list[str] = []
