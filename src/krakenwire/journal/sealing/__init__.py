"""What becomes of a segment that was ended: compared, compressed harder, indexed."""
