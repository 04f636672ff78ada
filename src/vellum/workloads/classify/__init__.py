"""Train a classifier that predicts the document of a passage: the example of a TrainJob."""
