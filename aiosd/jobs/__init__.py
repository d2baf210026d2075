"""The life of work: what was asked, what became of it, and what to do next."""
