"""AIOS: one daemon that owns the processors, memory and accelerators of one machine and runs everybody's work on them."""

__version__ = "0.4.0"
