"""How a training outlives what happens to it: signals, and checkpoints on the disk."""
