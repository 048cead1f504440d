"""Describe a network layer by layer: what each one is, what it costs and how much of the image it sees."""
