"""Who may come in: keys, signatures, tokens and how often."""

__all__: list[str] = []
