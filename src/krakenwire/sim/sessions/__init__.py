"""One client's side of the protocol by door, without I/O: what it asked, what it is answered."""

__all__: list[str] = []
