"""What the machine has, and who holds it."""
