"""Hold small tensor operations that losses, heads and metrics share."""
