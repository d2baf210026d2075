"""The disk door: the only place that knows SQL."""
