"""Train, evaluate and ship convolutional networks for classification, detection and segmentation."""
