"""Read masks of single objects, and label maps."""
