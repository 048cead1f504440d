"""Start the processes that train together, and tell each where it stands."""
