"""How a network is trained: learning rate over time, what stays frozen, how far a training is."""
