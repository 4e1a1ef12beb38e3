"""The simulator: a loopback server that speaks Kraken's public WebSocket v2.

It plays a seeded market or a file of frames. `market` moves the books, `feed` turns its moves into frames,
`session` answers one client, `playback` plays a file: all pure, without clock or socket, and the same output for
the same input. `server` and `connection` own the sockets.
"""

__all__: list[str] = []
