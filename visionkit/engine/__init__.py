"""Turn a config into a run: build, fit, checkpoint, evaluate, predict."""
