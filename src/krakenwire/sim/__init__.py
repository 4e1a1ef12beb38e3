"""The simulator: an exchange on this machine that any Kraken client can be pointed at (docs/simulator.md).

From the inside out: `engine` matches orders and keeps the money; `market` keeps it alive with agents and remembers what
traded; `feed` makes public frames of it; `sessions` and `rest` answer clients, and `accounts` says who they are;
`faults` stand between all that and the wire. `exchange` is the whole of it without sockets, `peer` one client of it.
`server`, `web` and `control` own the sockets. All else is pure: the same input gives the same output.
"""

__all__: list[str] = []
