"""The daemon's scheduler on virtual time, and what theory says of it."""
