"""Write a summary as a page."""

from visionkit.engine.summary.layers import Summary


def page(summary: Summary) -> str:
    """Return the page."""
    return ""
