"""Hold the heads: features in, the outputs of one task out, with loss and decoding."""
