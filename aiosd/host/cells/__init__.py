"""What a run's cell is: control groups planned by the daemon from the grant, for v2, for v1, and nothing where neither can be had."""
