"""Look at a data set before it is trained on: what is wrong with it, what is in it, and what to do."""
