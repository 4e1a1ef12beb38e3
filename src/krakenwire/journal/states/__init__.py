"""A core as bytes and back, and the states that are kept beside segments."""
