"""Ingest a folder of PDFs: extract, chunk and index, as a Kubeflow pipeline that also runs on a laptop."""
