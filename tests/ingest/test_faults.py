"""Ingest under SIGKILL and SIGSTOP: whatever dies, the next run ends with exact counts and nothing half is seen."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ingest.papers import book, endless
from tests.ingest.services import KEY, Event, Team, done_of, files_of

from vellum.errors import WorkloadError
from vellum.workloads.ingest.index import BATCH, Index
from vellum.workloads.ingest.ledger import Entry
from vellum.workloads.vectors import Qdrant

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(300)]


def children(pid: int) -> list[tuple[int, str]]:
    """Return (pid, command line) of every process below ``pid``."""
    results: list[tuple[int, str]] = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in map(int, (task / "children").read_text().split()):
                command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                results += [(child, command), *children(child)]
    return results


def wait_for(what: Callable[[], object]) -> None:
    while not what():
        time.sleep(0.005)


def readers(pid: int) -> list[int]:
    """Return the reader processes; a step's shell has their module's name in no argument."""
    return [child for child, command in children(pid) if command.rstrip().endswith("vellum.workloads.ingest.reader")]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def busy(pid: int) -> bool:
    """Return whether a process is computing: for a quarter of a second it uses most of its time."""

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))

    before = ticks()
    time.sleep(0.25)
    return ticks() - before > 2


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def texts(work: Path) -> list[str]:
    """Return the files that hold words of the documents."""
    files = (path for path in work.rglob("*") if path.is_file())
    return [path.name for path in files if b"marker" in path.read_bytes()]


def half_documents(team: Team, whole: dict[str, int]) -> list[Event]:
    """Return documents of which a query sees some passages but not all."""
    return [{name: count} for name, count in team.counts().items() if count != whole[name]]


@pytest.mark.slow
def test_ten_kills_at_random_moments_end_in_exact_counts(team: Team, tmp_path: Path) -> None:
    """Proves: ten kills of ingest at random moments end in exact counts."""
    for number in range(6):
        book(tmp_path / f"{number}.pdf", 150, first=1000 * number)
    done = done_of(team.ingest(tmp_path))
    whole, points = team.counts(), sorted(point["id"] for point in team.points())
    assert sum(whole.values()) == done["passages"] == len(points)
    assert team.call("DELETE", "")[0] == 200
    chance, ended, seen = random.Random(7), threading.Event(), list[Event]()

    def watch() -> None:
        while not ended.is_set():
            seen.extend(half_documents(team, whole))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(10):
            worker = team.worker(tmp_path)
            assert worker.stdout is not None
            time.sleep(chance.uniform(0.3, 3.5))
            below = [pid for pid, _ in children(worker.pid)]
            worker.kill()
            worker.wait()
            worker.stdout.close()
            while any(map(alive, below)):
                time.sleep(0.005)
        last = done_of(team.ingest(tmp_path))
    finally:
        ended.set()
        watcher.join()
    assert seen == []
    assert {**last, "unchanged": 0} == done
    assert team.counts() == whole
    assert sorted(point["id"] for point in team.points()) == points


def test_a_reader_that_is_killed_is_replaced_and_every_page_is_there(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 3000)
    worker = team.worker(tmp_path)
    assert worker.stdout is not None
    worker.stdout.readline()
    for pid in readers(worker.pid):
        os.kill(pid, signal.SIGKILL)
    rest = worker.stdout.read()
    assert worker.wait() == 0
    worker.stdout.close()
    assert b'"verdict":"ok"' in rest
    assert {point["page"] for point in team.points(visible=True)} == set(range(1, 3001))


def test_a_reader_that_hangs_costs_one_page(tmp_path: Path) -> None:
    from vellum.workloads.ingest.extract import Extraction
    from vellum.workloads.ingest.find import find

    book(tmp_path / "a.pdf", 400)
    listing = find(tmp_path)
    stopped: list[int] = []

    def stop_one() -> None:
        wait_for(lambda: any((tmp_path / "pages").glob("*")))
        stopped.extend(readers(os.getpid())[:1])
        os.kill(stopped[0], signal.SIGSTOP)

    thread = threading.Thread(target=stop_one)
    thread.start()
    (result,) = Extraction(tmp_path / "pages", page_seconds=2.0).run(listing.documents)
    thread.join()
    assert (result.verdict, result.pages, len(result.failed)) == ("page_errors", 400, 1)
    assert not alive(stopped[0])


@pytest.mark.parametrize(
    ("struck", "number"),
    [
        ("worker", signal.SIGKILL),
        ("worker", signal.SIGTERM),
        ("worker", signal.SIGINT),
        ("worker", signal.SIGHUP),
        ("step", signal.SIGKILL),
    ],
)
def test_a_run_that_ends_early_leaves_its_log_and_no_text(team: Team, tmp_path: Path, struck: str, number: int) -> None:
    book(tmp_path / "a.pdf", 1500)
    worker = team.worker(tmp_path)
    wait_for(team.points)
    assert texts(team.work)
    below = [pid for pid, _ in children(worker.pid)]
    os.kill(worker.pid if struck == "worker" else below[-1], number)
    out, _ = worker.communicate()
    wait_for(lambda: not any(map(alive, below)))

    assert worker.returncode == (-number if struck == "worker" else 1)
    assert (b'"code":"VEL503"' in out) == (struck == "step")
    assert texts(team.work) == []
    kept = {path.name for path in team.work.glob("runs/*/*")}
    assert {"pipeline.log", "pipeline.yaml", "listing.json", "events.jsonl"} <= kept
    assert not kept & {"steps", "steps.going", "run.json"}


def test_a_run_ends_with_whoever_started_it_and_the_next_one_may_begin(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 1500)
    worker = team.worker(tmp_path, "--attached", stdin=subprocess.PIPE)
    wait_for(team.points)
    below = [pid for pid, _ in children(worker.pid)]
    assert worker.stdin is not None
    assert worker.stdout is not None
    # A killed starter closes both of its ends.
    worker.stdout.close()
    worker.stdin.close()
    assert worker.wait(timeout=10) == -signal.SIGTERM
    wait_for(lambda: not any(map(alive, below)))
    assert team.ingest(tmp_path)[-1]["event"] == "done"


@pytest.mark.parametrize("struck", ["vellum", "worker", "vellum and worker", "launcher"])
def test_nothing_outlives_a_killed_ingest_command(team: Team, tmp_path: Path, struck: str) -> None:
    """Proves: SIGKILL of `vellum ingest` or of a process below it leaves no process.

    It strikes the command, its worker, both, and the launcher of the step, while a reader hangs in a page.
    """
    endless(tmp_path / "a.pdf")
    ingest = team.command("ingest", str(tmp_path))
    family: list[int] = []
    try:
        wait_for(lambda: ingest.poll() is not None or any(map(busy, readers(ingest.pid))))
        family += [pid for pid, _ in children(ingest.pid)]
        worker, launcher = family[:2]
        assert ingest.poll() is None
        for name, pid in (("vellum", ingest.pid), ("worker", worker), ("launcher", launcher)):
            if name in struck:
                os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        while any(map(alive, family)) and time.monotonic() < began + 10:
            time.sleep(0.05)
        assert [pid for pid in family if alive(pid)] == []
    finally:
        for pid in filter(alive, family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ingest.kill()
        print(ingest.communicate()[0].decode())  # noqa: T201  # pytest shows it where the test fails


def test_a_run_without_a_reader_still_ends_on_request(team: Team, tmp_path: Path) -> None:
    """A run whose output is no longer read ends when it is asked to."""
    content = book(tmp_path / "a.pdf", 1).read_bytes()
    for number in range(500):
        (tmp_path / f"{number:0200}.pdf").write_bytes(content + b"\n%%%d" % number)
    team.ingest(tmp_path)
    book(tmp_path / "b.pdf", 1500, first=100)
    worker = team.worker(tmp_path)  # its events about 500 files are more than a pipe holds
    try:
        wait_for(lambda: worker.poll() is not None or any("committed" not in point for point in team.points()))
        worker.terminate()
        assert worker.wait(timeout=10) == -signal.SIGTERM
    finally:
        worker.kill()
        worker.communicate()
    assert texts(team.work) == []


@pytest.mark.parametrize("killed", ["worker", "step"])
def test_a_reader_that_hangs_in_a_page_ends_with_those_who_asked_it(team: Team, tmp_path: Path, killed: str) -> None:
    endless(tmp_path / "a.pdf")
    worker = team.worker(tmp_path)
    assert worker.stdout is not None
    wait_for(lambda: any(team.work.glob("runs/*/steps/*/*/pages/*.jsonl")))
    (stuck,) = (pid for pid in readers(worker.pid) if busy(pid))
    os.kill(worker.pid if killed == "worker" else parent(stuck), signal.SIGKILL)
    try:
        time.sleep(1)
        assert not alive(stuck)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(stuck, signal.SIGKILL)
        worker.communicate()


def test_a_reader_whose_asker_forgets_it_ends_by_itself(tmp_path: Path) -> None:
    job = {"seconds": 1, "path": str(endless(tmp_path / "a.pdf")), "document_id": "a", "start": 0, "stop": 1}
    argv = [sys.executable, "-m", "vellum.workloads.ingest.reader"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        reader.stdin.write(json.dumps({**job, "output": str(tmp_path / "text")}).encode() + b"\n")
        reader.stdin.flush()
        try:
            assert reader.wait(timeout=20) == -signal.SIGALRM
        finally:
            reader.kill()


def test_a_killed_qdrant_delays_the_run_and_loses_nothing(team: Team, tmp_path: Path) -> None:
    for number in range(4):
        book(tmp_path / f"{number}.pdf", 200, first=1000 * number)
    worker = team.worker(tmp_path)
    assert worker.stdout is not None
    wait_for(lambda: team.call("GET", "")[0] == 200)
    team.kill_qdrant()
    time.sleep(0.5)
    team.start_qdrant()
    worker.stdout.read()
    assert worker.wait() == 0
    worker.stdout.close()
    again = team.ingest(tmp_path)
    assert done_of(again)["unchanged"] == 4
    assert sum(team.counts().values()) == done_of(again)["passages"] == len(team.points())
    assert {verdict for verdict, _, _ in files_of(again).values()} == {"ok"}


HALF = Entry(
    document_id="d",
    document="a.pdf",
    committed=False,
    point="",
    places=frozenset({("/papers", "a.pdf")}),
    pages=1,
    passages=BATCH + 1,
    page_errors=0,
)


def prepare(team: Team) -> None:
    with contextlib.closing(Qdrant((team.binding / "QDRANT_URL").read_text(), KEY)) as qdrant:
        Index(qdrant).prepare({"d": HALF})


def write_in_two_parts(team: Team, folder: Path, between: Callable[[], object]) -> None:
    """Index a document whose last passage comes through a pipe when something else has happened."""
    pipe = folder / "passages"
    os.mkfifo(pipe)

    def feed() -> None:
        with pipe.open("w") as passages:
            for number in range(HALF.passages):
                if number == BATCH:
                    passages.flush()
                    between()
                row = {"document_id": "d", "page": 1, "offset": number, "text": f"lantern {number}"}
                passages.write(json.dumps(row) + "\n")

    feeder = threading.Thread(target=feed)
    feeder.start()
    with contextlib.closing(Qdrant((team.binding / "QDRANT_URL").read_text(), KEY)) as qdrant:
        try:
            list(Index(qdrant).write(pipe, {"d": HALF}))
        finally:
            feeder.join()


def test_a_document_without_its_first_passages_stays_invisible(team: Team, tmp_path: Path) -> None:
    """A document whose first passages could not be written is not made visible."""
    prepare(team)
    team.kill_qdrant()

    def come_back() -> None:
        time.sleep(1)  # the first batch is refused meanwhile: no server listens
        team.start_qdrant()

    with pytest.raises(WorkloadError, match="VEL531"):
        write_in_two_parts(team, tmp_path, come_back)
    assert team.points(visible=True) == []


def test_a_document_removed_by_a_second_ingest_stays_invisible(team: Team, tmp_path: Path) -> None:
    """A second ingest takes the document for a leftover and removes passages of it."""
    prepare(team)

    def come_between() -> None:
        wait_for(lambda: len(team.points()) == BATCH)
        prepare(team)

    with pytest.raises(WorkloadError, match=f"VEL505: 1 of {BATCH + 1} passages are there"):
        write_in_two_parts(team, tmp_path, come_between)
    assert (len(team.points()), team.points(visible=True)) == (1, [])
    prepare(team)
    assert team.points() == []


@pytest.mark.slow
def test_ten_thousand_pages_in_one_file_use_both_readers_and_little_memory(team: Team, tmp_path: Path) -> None:
    book(tmp_path / "a.pdf", 10_000)
    worker = team.worker(tmp_path)
    assert worker.stdout is not None
    peak: dict[int, int] = {}
    working: set[int] = set()
    reading = threading.Thread(target=worker.stdout.read)
    reading.start()
    while worker.poll() is None:
        for pid in (worker.pid, *(child for child, _ in children(worker.pid))):
            with contextlib.suppress(OSError, IndexError, ValueError):
                status = Path(f"/proc/{pid}/status").read_text()
                peak[pid] = int(status.split("VmHWM:")[1].split()[0])
        working.update(readers(worker.pid))
        time.sleep(0.05)
    reading.join()
    worker.stdout.close()
    assert len(working) == 2
    assert max(peak.values()) < 300 * 1024
    assert {point["page"] for point in team.points(visible=True)} == set(range(1, 10_001))
