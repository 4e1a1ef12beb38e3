"""The files of a journal: its directory, segments, and the zstd frames in them."""
