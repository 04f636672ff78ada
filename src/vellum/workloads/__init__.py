"""The programs inside the platform: ingest in a pipeline, search in a predictor. They depend only on their binding."""
