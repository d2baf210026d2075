"""The machine door: the only place that makes system calls, starts processes and sends signals."""
