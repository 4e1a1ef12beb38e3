"""Between the hub and the face: the feed on its event loop, what a reader holds of it, the way to another thread."""
