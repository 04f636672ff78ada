"""Answer questions from the team's documents, citing document and page: a KServe predictor over BM25."""
