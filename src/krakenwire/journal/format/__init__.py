"""The text of a segment: lines, blocks of lines, and their head. docs/journal-format.md says it for other languages."""
