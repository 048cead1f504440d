"""Find a learning rate or a batch size before a training: `tune=lr` and `tune=batch`."""
