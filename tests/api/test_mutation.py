"""The loader under a fuzzer: a sample in every run, a million executions a night (``tests/api/mutation.py``)."""

from __future__ import annotations

import os
import sys

import pytest
from tests.api.mutation import CORPUS, crashes, run, seeds, way


def test_every_file_of_the_corpus_is_answered() -> None:
    """Each file once gave a new answer, or crashed the loader."""
    assert len(list(CORPUS.glob("*"))) >= 100
    assert len({way(data) for data in seeds()}) > 80


def test_a_sample_of_changed_files_gives_values_or_claim_errors() -> None:
    result, _, ran = crashes(seed=20261129, runs=2000)
    assert (ran, result) == (2000, [])


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)
def test_a_million_changed_files_give_values_or_claim_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Each night uses another seed. The fix of a crash adds its file to the corpus."""
    seed = int.from_bytes(os.urandom(4), "big")
    result, _, ran = run(1_000_000, processes=os.cpu_count() or 1, seed=seed)
    with capsys.disabled():
        sys.stdout.write(f"\nclaim loader: {ran} executions from seed {seed}, {len(result)} crashes\n")
    assert result[:3] == []
