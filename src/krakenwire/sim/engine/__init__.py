"""The matching engine: orders, accounts and money, in integers and exact decimals.

No clock, no wire, and no chance but its seed.
"""

__all__: list[str] = []
