"""Recording: a tape at the core's door, a bounded queue, and a thread that puts blocks on the disk."""
