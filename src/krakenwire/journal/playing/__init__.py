"""A journal through a core again, compared with what was recorded."""
