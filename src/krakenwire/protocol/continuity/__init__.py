"""Streams without a gap: trades and candles in order and once, and the REST calls that fill what is missing."""
