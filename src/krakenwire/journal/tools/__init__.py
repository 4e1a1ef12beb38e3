"""What `krakenwire journal` does."""
