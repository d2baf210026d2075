"""What would have been, or will be: the daemon's own scheduling code on virtual time, and questions to queueing theory."""
