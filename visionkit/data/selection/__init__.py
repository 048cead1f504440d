"""Choose what a run sees of a data set: splits, classes, how much, how often."""
