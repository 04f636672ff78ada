"""What runs inside the platform: ingest in a pipeline, search in a predictor. They know their binding, nothing else."""
