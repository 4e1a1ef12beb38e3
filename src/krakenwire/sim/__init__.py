"""The simulator: a loopback server that speaks Kraken's public WebSocket v2.

It plays a seeded market or a file of frames. Everything but `server` is pure: no clock, no socket, the same
output for the same input. `market` moves the books, `feed` turns its moves into frames, `session` answers one
client, `playback` plays a file, and `server` owns the sockets.
"""

__all__: list[str] = []
