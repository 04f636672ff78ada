"""LangChain's Qdrant vector store as its documentation uses it; run by an environment of its own with langchain-qdrant.

``python langchain_flow.py URL KEY``; ends with code 0 and one line for each retrieval mode.
"""

from __future__ import annotations

import sys
import zlib

from langchain_core.documents import Document  # type: ignore[import-not-found]  # only in its own environment
from langchain_core.embeddings import DeterministicFakeEmbedding  # type: ignore[import-not-found]
from langchain_qdrant import (  # type: ignore[import-not-found]
    QdrantVectorStore,
    RetrievalMode,
    SparseEmbeddings,
    SparseVector,
)
from qdrant_client import models as m

TEXTS = ["a red fox", "a blue whale", "green grass"]
UUID = "550e8400-e29b-41d4-a716-446655440000"


class Words(SparseEmbeddings):  # type: ignore[misc]
    """One dimension per word."""

    def embed_query(self, text: str) -> SparseVector:
        words = sorted({zlib.crc32(word.encode()) for word in text.split()})
        return SparseVector(indices=words, values=[1.0] * len(words))

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        return [self.embed_query(text) for text in texts]


def flow(mode: RetrievalMode, name: str, vector_name: str, where: dict[str, str]) -> None:
    shared = {
        "embedding": DeterministicFakeEmbedding(size=16),
        "sparse_embedding": Words(),
        "retrieval_mode": mode,
        "collection_name": name,
        "vector_name": vector_name,
        **where,
    }
    numbered = [{"n": at} for at in range(len(TEXTS))]
    store = QdrantVectorStore.from_texts(TEXTS, metadatas=numbered, force_recreate=True, **shared)
    store.add_documents([Document("a red panda", metadata={"n": 9})])
    store.add_texts(["yellow sun"], ids=[UUID])
    item = m.Filter(must=[m.FieldCondition(key="metadata.n", match=m.MatchValue(value=1))])
    assert store.similarity_search("a red fox", k=1)[0].page_content == "a red fox"
    assert [doc.page_content for doc in store.similarity_search("a red fox", filter=item)] == ["a blue whale"]
    first, score = store.similarity_search_with_score("a red fox", k=2, score_threshold=0.1)[0]
    assert (first.page_content, score > 0.1) == ("a red fox", True)
    assert store.as_retriever(search_kwargs={"k": 1}).invoke("a blue whale")[0].page_content == "a blue whale"
    if mode is not RetrievalMode.SPARSE:
        result = store.max_marginal_relevance_search("a red fox", k=2, fetch_k=4)
        assert result[0].page_content == "a red fox"
    assert store.get_by_ids([UUID])[0].page_content == "yellow sun"
    assert store.delete([UUID])
    assert store.get_by_ids([UUID]) == []
    again = QdrantVectorStore.from_existing_collection(**shared)
    assert again.similarity_search("green grass", k=1)[0].page_content == "green grass"
    QdrantVectorStore.from_documents([Document("a fifth text")], **shared)
    assert again.similarity_search("a fifth text", k=1)[0].page_content == "a fifth text"


if __name__ == "__main__":
    for mode in RetrievalMode:
        for vector_name in ("", "named"):
            flow(mode, f"{mode.value}-{vector_name}", vector_name, {"url": sys.argv[1], "api_key": sys.argv[2]})
        sys.stdout.write(f"{mode.value} runs\n")
