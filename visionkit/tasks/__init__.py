"""Say what a task means: metrics, monitor, drawing, result format."""
