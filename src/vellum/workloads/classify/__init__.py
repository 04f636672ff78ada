"""Train a classifier that tells from which document a passage is: the example of a TrainJob."""
