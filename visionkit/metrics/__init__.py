"""Hold the metrics that torchmetrics lacks, as flat tensors that gather by concatenation."""
