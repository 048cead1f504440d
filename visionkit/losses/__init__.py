"""Hold the losses that heads are given."""
