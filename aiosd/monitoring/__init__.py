"""What running work uses, over time."""
