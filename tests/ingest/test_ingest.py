"""Ingest as the command line starts it: a folder goes in, whole documents come out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.ingest.papers import book, break_pages, every_kind, write
from tests.ingest.services import KEY, Team, done_of, files_of

from vellum.connect.sources import read_folder
from vellum.errors import WorkloadError
from vellum.workloads.ingest import ledger
from vellum.workloads.ingest.index import Index
from vellum.workloads.ingest.run import KEPT_RUNS
from vellum.workloads.ingest.store import RunStore
from vellum.workloads.vectors import Qdrant

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(90)]


def test_every_file_gets_its_verdict_and_none_stops_the_others(team: Team, tmp_path: Path) -> None:
    """Proves: every ingested file gets a verdict, and a bad file stops no other."""
    every_kind(tmp_path)
    events = team.ingest(tmp_path)
    assert files_of(events) == {
        "plain.pdf": ("ok", 3, 0),
        "owner-only.pdf": ("ok", 3, 0),
        "deep/er/BOOK.PDF": ("ok", 2, 0),
        "locked.pdf": ("encrypted", 0, 0),
        "truncated.pdf": ("damaged", 0, 0),
        "garbage.pdf": ("damaged", 0, 0),
        "empty.pdf": ("damaged", 0, 0),
        "scan.pdf": ("no_text", 3, 0),
        "half.pdf": ("page_errors", 4, 2),
        "none.pdf": ("damaged", 2, 2),
    }
    pages = {(point["document"], point["page"]) for point in team.points(visible=True)}
    assert {page for name, page in pages if name == "half.pdf"} == {1, 3}
    assert sorted({name for name, _ in pages}) == ["deep/er/BOOK.PDF", "half.pdf", "owner-only.pdf", "plain.pdf"]
    assert done_of(events)["skipped"] == ["notes.txt"]


def test_a_scan_with_a_broken_page_gets_a_verdict_too(team: Team, tmp_path: Path) -> None:
    break_pages(write(tmp_path / "scan.pdf", ["", "", ""]), [1])
    assert files_of(team.ingest(tmp_path)) == {"scan.pdf": ("no_text", 3, 1)}


def test_standard_output_is_json_lines_from_progress_to_done(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 3)
    events = team.ingest(tmp_path)
    assert [event["event"] for event in events if event["event"] != "page_progress"] == ["file", "done"]
    assert [event for event in events if event["event"] == "page_progress"][-1] | {"pages_per_s": 0} == {
        "event": "page_progress",
        "pages": 3,
        "of": 3,
        "pages_per_s": 0,
    }


def test_a_second_run_gives_the_same_counts_and_extracts_nothing(team: Team, tmp_path: Path) -> None:
    for number in range(3):
        book(tmp_path / f"{number}.pdf", 2, first=10 * number)
    first, points = team.ingest(tmp_path), team.points()
    second = team.ingest(tmp_path)
    assert done_of(second) == {**done_of(first), "unchanged": 3}
    assert files_of(second) == files_of(first)
    assert team.points() == points
    assert "page_progress" not in {event["event"] for event in second}


def test_a_passage_cites_its_place_exactly(team: Team, tmp_path: Path) -> None:
    """Proves: a passage cites its exact place."""
    write(tmp_path / "a.pdf", ["The first page says little.", "The second page names a lighthouse."])
    team.ingest(tmp_path)
    shown = sorted((p["document"], p["page"], p["offset"], p["text"]) for p in team.points(visible=True))
    assert shown == [
        ("a.pdf", 1, 0, "The first page says little."),
        ("a.pdf", 2, 0, "The second page names a lighthouse."),
    ]


def test_the_same_content_under_two_names_is_indexed_once(team: Team, tmp_path: Path) -> None:
    """Both names are reported and counted as files; pages and passages count once."""
    content = book(tmp_path / "a.pdf", 2).read_bytes()
    (tmp_path / "b.pdf").write_bytes(content)
    events = team.ingest(tmp_path)
    assert files_of(events) == {"a.pdf": ("ok", 2, 0), "b.pdf": ("ok", 2, 0)}
    assert done_of(events) == {
        "files": 2,
        "documents": 1,
        "skipped": [],
        "unchanged": 0,
        "removed": 0,
        "pages": 2,
        "passages": len(team.points()),
    }
    assert [event.get("same_as") for event in events if event["event"] == "file"] == [None, "a.pdf"]
    again = team.ingest(tmp_path)
    assert done_of(again) == {**done_of(events), "unchanged": 2}
    assert set(team.counts()) == {"a.pdf"}


def test_a_changed_file_replaces_what_its_name_stood_for(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 2)
    team.ingest(tmp_path)
    before = team.points()
    book(tmp_path / "a.pdf", 3, first=50)
    events = team.ingest(tmp_path)
    after = team.points()
    assert done_of(events)["removed"] == 1
    assert {point["page"] for point in after} == {1, 2, 3}
    assert not {point["id"] for point in before} & {point["id"] for point in after}


def test_content_with_another_name_survives_a_change(team: Team, tmp_path: Path) -> None:
    """A changed file keeps its old content visible under the other name, which is cited from then on."""
    content = book(tmp_path / "a.pdf", 2).read_bytes()
    (tmp_path / "b.pdf").write_bytes(content)
    team.ingest(tmp_path)
    (kept,) = {point["document_id"] for point in team.points()}
    book(tmp_path / "a.pdf", 1, first=50)
    assert done_of(team.ingest(tmp_path))["removed"] == 0
    assert {point["document"] for point in team.points() if point["document_id"] == kept} == {"b.pdf"}
    assert {point["document"] for point in team.points() if point["document_id"] != kept} == {"a.pdf"}
    assert done_of(team.ingest(tmp_path))["unchanged"] == 2


def test_a_citation_that_a_killed_run_left_behind_is_put_right(team: Team, tmp_path: Path) -> None:
    content = book(tmp_path / "a.pdf", 2).read_bytes()
    (tmp_path / "b.pdf").write_bytes(content)
    team.ingest(tmp_path)
    (kept,) = {point["document_id"] for point in team.points()}
    book(tmp_path / "a.pdf", 1, first=50)
    team.ingest(tmp_path)
    # As after a kill between the two calls that move a document to another name.
    of_it = {"must": [{"key": "document_id", "match": {"value": kept}}]}
    team.call("POST", "/points/payload?wait=true", {"payload": {"document": "a.pdf"}, "filter": of_it})
    team.ingest(tmp_path)
    assert {point["document"] for point in team.points() if point["document_id"] == kept} == {"b.pdf"}


def test_a_renamed_file_is_cited_by_its_new_name(team: Team, tmp_path: Path) -> None:
    """The new name is cited even before the old name is pruned."""
    item, other = tmp_path / "one", tmp_path / "other"
    content = book(item / "old.pdf", 2).read_bytes()
    team.ingest(item)
    (item / "old.pdf").rename(item / "new.pdf")
    assert done_of(team.ingest(item))["removed"] == 0
    assert set(team.counts()) == {"new.pdf"}
    other.mkdir()
    (other / "copy.pdf").write_bytes(content)
    team.ingest(other)
    assert set(team.counts()) == {"new.pdf"}
    (item / "new.pdf").unlink()
    assert done_of(team.ingest(item, "--prune"))["removed"] == 0
    assert set(team.counts()) == {"copy.pdf"}


def test_equal_names_in_two_folders_do_not_replace_each_other(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "one" / "a.pdf", 1)
    book(tmp_path / "two" / "a.pdf", 1, first=9)
    team.ingest(tmp_path / "one")
    assert done_of(team.ingest(tmp_path / "two"))["removed"] == 0
    assert len({point["document_id"] for point in team.points(visible=True)}) == 2


def test_a_removed_file_stays_searchable_until_it_is_pruned(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 1)
    book(tmp_path / "b.pdf", 1, first=9)
    team.ingest(tmp_path)
    (tmp_path / "a.pdf").unlink()
    assert done_of(team.ingest(tmp_path))["removed"] == 0
    assert set(team.counts()) == {"a.pdf", "b.pdf"}
    assert done_of(team.ingest(tmp_path, "--prune"))["removed"] == 1
    assert set(team.counts()) == {"b.pdf"}


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400])
def test_an_unreadable_folder_stops_a_prune_before_any_change(team: Team, tmp_path: Path, mode: int) -> None:
    book(tmp_path / "a.pdf", 1)
    book(tmp_path / "inside" / "closed" / "b.pdf", 1, first=9)
    book(tmp_path / "inside" / "closed" / "deeper" / "c.pdf", 1, first=19)
    team.ingest(tmp_path)
    before = team.points()
    (tmp_path / "a.pdf").unlink()
    (tmp_path / "inside" / "closed").chmod(mode)

    (text,) = team.ingest(tmp_path, "--prune")
    assert (text["code"], text["where"]) == ("VEL504", f"{tmp_path}/inside/closed/")
    without = team.ingest(tmp_path)
    assert files_of(without) == {"inside/closed/": ("unreadable", 0, 0)}
    assert done_of(without)["files"] == 0
    assert team.points() == before

    (tmp_path / "inside" / "closed").chmod(0o700)
    assert done_of(team.ingest(tmp_path, "--prune"))["removed"] == 1
    assert set(team.counts()) == {"inside/closed/b.pdf", "inside/closed/deeper/c.pdf"}


def test_a_name_that_is_still_there_keeps_its_document_whatever_it_is_now(team: Team, tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    every_kind(tmp_path / "kinds")
    now: dict[str, Callable[[Path], object]] = {
        "damaged": lambda path: path.write_bytes(b"half a copy"),
        "empty": lambda path: path.write_bytes(b""),
        "locked": lambda path: path.write_bytes((tmp_path / "kinds" / "locked.pdf").read_bytes()),
        "scan": lambda path: path.write_bytes((tmp_path / "kinds" / "scan.pdf").read_bytes()),
        "unreadable": lambda path: path.touch(0o000),
        "pipe": os.mkfifo,
        "broken link": lambda path: path.symlink_to(papers / "not mounted" / "x.pdf"),
        "link out": lambda path: path.symlink_to(tmp_path / "kinds" / "plain.pdf"),
    }
    for number, name in enumerate([*now, "gone"]):
        book(papers / f"{name}.pdf", 1, first=100 * number)
    team.ingest(papers)
    whole = team.counts()
    for path in papers.iterdir():
        path.unlink()
    for name, becomes in now.items():
        becomes(papers / f"{name}.pdf")

    pruned = team.ingest(papers, "--prune")

    assert files_of(pruned)["unreadable.pdf"] == ("unreadable", 0, 0)
    assert (done_of(pruned)["removed"], done_of(pruned)["documents"]) == (1, 0)
    assert team.counts() == {name: count for name, count in whole.items() if name != "gone.pdf"}


def test_an_unreadable_replacement_keeps_the_old_content(team: Team, tmp_path: Path) -> None:
    """A file that is replaced by an unreadable one keeps its indexed content."""
    book(tmp_path / "a.pdf", 1)
    team.ingest(tmp_path)
    before = team.points()
    (tmp_path / "a.pdf").write_bytes(b"half a copy")
    assert files_of(team.ingest(tmp_path)) == {"a.pdf": ("damaged", 0, 0)}
    assert team.points() == before


def test_inner_links_are_names_and_outer_links_are_skipped(team: Team, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    book(inside / "a.pdf", 1)
    book(tmp_path / "outside" / "b.pdf", 1, first=9)
    (inside / "same.pdf").symlink_to(inside / "a.pdf")
    (inside / "out.pdf").symlink_to(tmp_path / "outside" / "b.pdf")
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "loop.pdf").symlink_to(inside / "loop.pdf")
    events = team.ingest(inside)
    assert files_of(events) == {"a.pdf": ("ok", 1, 0), "same.pdf": ("ok", 1, 0)}
    assert done_of(events)["skipped"] == ["loop.pdf", "out.pdf"]


@pytest.mark.parametrize("name", ["python3 notes", "a b%20c#d?é", "-dash"])
def test_a_folder_of_any_name_is_ingested(team: Team, tmp_path: Path, name: str) -> None:
    book(tmp_path / name / "python3.pdf", 1)
    team.work = tmp_path / "python3-work"
    assert files_of(team.ingest(tmp_path / name)) == {"python3.pdf": ("ok", 1, 0)}


def test_names_that_are_no_utf8_are_told_apart_and_cited(team: Team, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/old \xe9"))
    for number, byte in enumerate((b"\xe9", b"\xe8")):
        book(tmp_path / "new.pdf", 1, first=number)
        folder.mkdir(exist_ok=True)
        (tmp_path / "new.pdf").rename(folder / os.fsdecode(b"caf" + byte + b".pdf"))
    assert files_of(team.ingest(folder)) == {"caf\\xe9.pdf": ("ok", 1, 0), "caf\\xe8.pdf": ("ok", 1, 0)}
    (folder / os.fsdecode(b"caf\xe9.pdf")).unlink()
    assert done_of(team.ingest(folder))["removed"] == 0
    assert set(team.counts()) == {"caf\\xe8.pdf", "caf\\xe9.pdf"}
    assert done_of(team.ingest(folder, "--prune"))["removed"] == 1


def test_an_interpreter_whose_path_has_a_space_does_its_work(team: Team, tmp_path: Path) -> None:
    (tmp_path / "an environment").symlink_to(Path(sys.executable).parents[1])
    book(tmp_path / "papers" / "a.pdf", 1)
    team.python = str(tmp_path / "an environment" / "bin" / "python")
    assert files_of(team.ingest(tmp_path / "papers")) == {"a.pdf": ("ok", 1, 0)}


def test_the_logs_of_the_last_runs_stay_and_older_ones_go(team: Team, tmp_path: Path) -> None:
    runs = [done["run"] for done in (team.ingest(tmp_path)[-1] for _ in range(8))]
    assert sorted(path.name for path in (team.work / "runs").iterdir()) == sorted(runs)[-KEPT_RUNS:]


def test_an_empty_folder_is_done_at_once(team: Team, tmp_path: Path) -> None:
    assert done_of(team.ingest(tmp_path)) == {
        "files": 0,
        "documents": 0,
        "skipped": [],
        "unchanged": 0,
        "removed": 0,
        "pages": 0,
        "passages": 0,
    }


def test_a_missing_folder_is_an_error_in_words(team: Team, tmp_path: Path) -> None:
    (event,) = team.ingest(tmp_path / "absent")
    assert (event["event"], event["code"], event["where"]) == ("error", "VEL501", str(tmp_path / "absent"))


def test_a_binding_without_qdrant_names_what_is_missing(team: Team, tmp_path: Path) -> None:
    (team.binding / "QDRANT_URL").unlink()
    (event,) = team.ingest(tmp_path)
    assert (event["code"], event["what"]) == ("VEL605", "the binding has no QDRANT_URL yet")


def test_a_wrong_key_is_told_by_the_step_that_met_it(team: Team, tmp_path: Path) -> None:
    team.bind("QDRANT_API_KEY", "wrong")
    (event,) = team.ingest(tmp_path)
    assert (event["event"], event["code"]) == ("error", "VEL532")


def test_a_second_ingest_of_the_same_team_waits_its_turn(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 40)
    first = team.worker(tmp_path)
    assert first.stdout is not None
    first.stdout.readline()
    (event,) = team.ingest(tmp_path)
    assert event["code"] == "VEL502"
    assert first.wait() == 0
    first.stdout.close()


def test_sources_and_records_are_kept_in_the_bucket(team: Team, tmp_path: Path) -> None:
    team.start_bucket()
    content = book(tmp_path / "a.pdf", 2).read_bytes()
    (tmp_path / "bad.pdf").write_bytes(b"bad")
    run = team.ingest(tmp_path)[-1]["run"]
    s3 = team.s3()
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="team-bucket")["Contents"]]
    (document_id,) = {point["document_id"] for point in team.points()}
    names = ("counts.json", "listing.json", "pipeline.yaml", "run.json", "verdicts.json")
    assert f"documents/{document_id}.pdf" in keys
    assert [key for key in keys if key.startswith("runs/")] == [f"runs/{run}/{name}" for name in names]
    assert s3.get_object(Bucket="team-bucket", Key=f"documents/{document_id}.pdf")["Body"].read() == content
    record = json.loads(s3.get_object(Bucket="team-bucket", Key=f"runs/{run}/run.json")["Body"].read())
    assert {file["names"][0]: file["verdict"] for file in record["files"]} == {"a.pdf": "ok", "bad.pdf": "damaged"}
    assert record["artifacts"]["pipeline.yaml"] == f"s3://team-bucket/runs/{run}/pipeline.yaml"


def test_only_the_content_that_an_id_names_is_stored_under_it(team: Team, tmp_path: Path) -> None:
    team.start_bucket()
    small, large = os.urandom(5000), os.urandom(20_000_000)
    right = {hashlib.sha256(content).hexdigest()[:32]: content for content in (small, large)}
    files = []
    for number, (document_id, content) in enumerate(right.items()):
        for name, text in (("changed", content[:-1]), ("same", content)):
            path = tmp_path / f"{name}-{number}.pdf"
            path.write_bytes(text)
            files.append((document_id if name == "same" else f"{number:032}", path))
    store = RunStore(read_folder(team.binding), "run")
    store.documents([*files, ("f" * 32, tmp_path / "gone.pdf")])
    store.finish()

    s3 = team.s3()
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="team-bucket")["Contents"]]
    assert keys == sorted(f"documents/{document_id}.pdf" for document_id in right)
    assert {
        document_id: s3.get_object(Bucket="team-bucket", Key=f"documents/{document_id}.pdf")["Body"].read()
        for document_id in right
    } == right
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="team-bucket")


def test_a_run_that_is_not_whole_in_the_bucket_has_no_record_there(team: Team, tmp_path: Path) -> None:
    team.start_bucket()
    store = RunStore(read_folder(team.binding), "run")
    store.documents([])
    store.artifact("counts.json", tmp_path / "absent")
    store.record({"run": "run"}, tmp_path / "run.json")
    with pytest.raises(WorkloadError, match="VEL521"):
        store.finish()
    assert "Contents" not in team.s3().list_objects_v2(Bucket="team-bucket")


def test_a_bucket_that_refuses_is_told_after_the_passages_are_indexed(team: Team, tmp_path: Path) -> None:
    team.start_bucket()
    team.bind("AWS_SECRET_ACCESS_KEY", "wrong")
    book(tmp_path / "a.pdf", 1)
    assert team.ingest(tmp_path)[-1]["code"] == "VEL521"
    assert set(team.counts()) == {"a.pdf"}


def test_the_pipeline_installs_nothing_and_uses_the_given_image(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    argv = [sys.executable, "-m", "vellum.workloads.ingest.pipeline", str(path), "registry.example/workloads@sha256:0"]
    subprocess.run(argv, check=True)
    executors = yaml.safe_load(path.read_text())["deploymentSpec"]["executors"]
    assert {each["container"]["image"] for each in executors.values()} == {"registry.example/workloads@sha256:0"}
    assert "pip install" not in path.read_text()
    assert len(executors) == 3


def test_a_document_of_an_older_version_is_read_again_and_keeps_its_places(team: Team, tmp_path: Path) -> None:
    """An index that an older version made has no form; its documents stay visible until they are written anew."""
    book(tmp_path / "one" / "a.pdf", 2)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b.pdf").write_bytes((tmp_path / "one" / "a.pdf").read_bytes())
    team.ingest(tmp_path / "one")
    team.ingest(tmp_path / "two")
    qdrant = Qdrant(f"http://127.0.0.1:{team.port}", KEY)
    (before,) = ledger.read(qdrant).values()
    Index(qdrant)._set({"entry": {**before.payload(), "form": 1}}, {"must": [{"has_id": [before.point]}]})
    events = team.ingest(tmp_path / "two")
    (after,) = ledger.read(qdrant).values()
    qdrant.close()
    assert done_of(events)["unchanged"] == 0
    assert (after.places, after.form, after.committed) == (before.places, before.form, True)
    assert {point["page"] for point in team.points(visible=True)} == {1, 2}
