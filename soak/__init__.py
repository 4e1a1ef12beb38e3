"""The proof under faults: a client against the simulator while everything goes wrong, and a verdict.

    python -m soak --seconds 600

The exchange writes down the truth before any fault touches it; the client writes down what it serves as proven; a
third process compares the two when all is over. `plan` says what is run, `market` and `user` are the processes on
sockets, `memory` is the one on the in-memory transport, `run` starts them; `books`, `tape` and `outcomes` judge,
`journal` replays what was recorded of the client, and `verdict` tells.
"""

__all__: list[str] = []
