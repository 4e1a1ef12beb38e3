"""Bytes to meaning and back: frames, requests, answers and REST bodies as they are on the wire."""
