"""Models and datasets: content-addressed, versioned like code, verified always."""
