"""Every connection twice, so that the end of one is no loss to any reader."""
