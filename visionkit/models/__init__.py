"""Hold the networks: backbones, necks, heads and the network that joins them."""
