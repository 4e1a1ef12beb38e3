"""The evidence of books that were found wrong."""
