"""Hold the necks: levels in, other levels out."""
