"""Who goes next: pure functions from a snapshot of the world to a plan."""
