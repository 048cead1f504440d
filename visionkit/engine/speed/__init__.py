"""How fast a training computes and in how much memory: precision, compilation, fused steps, recomputation."""
