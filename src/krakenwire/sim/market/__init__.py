"""The public side: the engine kept alive by agents, and what has traded."""

__all__: list[str] = []
