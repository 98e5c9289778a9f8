"""Faults at random moments of a sweep: nothing is lost or run twice, the result is the same."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest
from small_run import CODE, repository, sweep_command

import run_all
from lib.run import clusters, notebook, plan, progress, schedule

INSIDE = [
    "memory",
    "device memory",
    "process killed",
    "process left",
    "worker killed",
    "hang",
    "full disk",
    "bug",
]
OUTSIDE = ["SIGINT", "SIGTERM", "SIGKILL", "lost block", "lost messenger"]
BETWEEN = ["torn marker", "lost table", "torn log"]  # after SIGTERM, before the next start


class Harness:
    """Runs a sweep again and again under faults until it ends well."""

    def __init__(self, root, n_shards, seed):
        self.root, self.n_shards, self.random = root, n_shards, random.Random(seed)
        self.out, self.met = root / "results/runs/demo", Counter()
        for folder in ("locks", "faults"):
            (root / folder).mkdir()
        shards = self.random.sample(range(n_shards), len(INSIDE))
        for shard, kind in zip(shards, INSIDE, strict=True):
            (root / "faults" / str(shard)).write_text(kind)
        self.bug = root / "faults" / str(shards[-1])

    def start(self):
        settings = {"n_shards": self.n_shards, "seconds": 0.05, "time_limit": 4}
        command = sweep_command(self.root, **settings)
        with (self.root / "output.txt").open("a") as log:
            return subprocess.Popen(
                command, cwd=self.root, stdout=log, stderr=log, start_new_session=True
            )

    def finished(self):
        return len(list((self.out / "done").glob("sweep.*.json")))

    def wait(self, process, more):
        """Until `more` further shards are finished or the run has ended."""
        goal = self.finished() + more
        while process.poll() is None and self.finished() < goal:
            time.sleep(0.02)

    def inject(self, process, kind):
        """One fault from outside; returns whether the run has to be started again."""
        self.met[kind] += 1
        if kind.startswith("SIG"):
            os.kill(process.pid, getattr(signal, kind))
            process.wait(60)
            if kind == "SIGTERM":
                [self.damage(each) for each in BETWEEN]
            return True
        if kind == "lost block":
            for worker in self.workers():  # all of a block at once, as when its node goes down
                with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                    os.killpg(os.getpgid(worker.pid), signal.SIGKILL)
        else:
            [
                c.kill()
                for c in psutil.Process(process.pid).children()
                if "interchange" in " ".join(c.cmdline())
            ]
        return False

    def workers(self):
        """Parsl's blocks of this run; no descendants of the conductor, as their shell has ended."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if any(str(self.out) in word for word in words) and any(
                "process_worker_pool" in w for w in words
            ):
                found.append(process)
        return found

    def damage(self, kind):
        self.met[kind] += 1
        shard = self.random.choice(sorted((self.out / "done").glob("sweep.*.json")))
        if kind == "torn marker":
            shard.write_text(shard.read_text()[:40])
        elif kind == "lost table":
            (self.root / "data/processed/demo" / f"result.{shard.stem[-3:]}.txt").unlink()
            shard.unlink()  # so that the ledger below can tell this repeat from a needless one
        else:
            with (self.out / "logs/events.jsonl").open("a") as log:
                log.write('{"t": 1, "ev')
            assert " of 202 in " in progress.status(self.out, alive=False)[-1]

    def go(self):
        """Until a run ends with every shard done; returns the number of starts."""
        kinds, starts = self.random.sample(OUTSIDE, len(OUTSIDE)), 0
        while starts < 25:
            starts += 1
            process = self.start()
            while kinds and process.poll() is None:
                self.wait(process, self.random.randint(3, 15))
                if process.poll() is None and self.inject(process, kinds.pop()):
                    break
            if process.wait(120) == 0:
                return starts
            self.bug.unlink(missing_ok=True) if "ValueError" in (
                self.root / "output.txt"
            ).read_text() else None
        raise AssertionError(
            "no run ended well:\n" + (self.root / "output.txt").read_text()[-3000:]
        )


@pytest.mark.slow
def test_a_sweep_under_faults_of_sixteen_kinds_ends_like_an_undisturbed_one(tmp_path):
    harness = Harness(tmp_path, n_shards=200, seed=int(os.environ.get("FAULT_SEED", time.time())))
    with ports_in_use():
        starts = harness.go()
    ledger = [line.rsplit(" ", 3) for line in (tmp_path / "ledger.txt").read_text().splitlines()]
    words = Counter(word for word, *_ in ledger)
    ends = Counter(shard for word, shard, *_ in ledger if word == "end")
    assert set(INSIDE) <= words.keys() and set(OUTSIDE + BETWEEN) <= harness.met.keys()
    assert words["again"] == 0, "a finished shard was computed again"
    assert words["overlap"] == 0, "a shard ran twice at a time"
    assert words["bug"] <= starts, "a raising task was tried again"
    assert ends.total() - len(ends) <= 2 * len(OUTSIDE), (
        "more shards computed twice than were cut off at their end"
    )
    assert (harness.out / "tables/headline.csv").read_text().splitlines() == [
        f"{i**2}x" for i in range(200)
    ]
    assert not list((harness.out / "failed").glob("*"))
    assert not harness.workers()


@contextlib.contextmanager
def ports_in_use():
    """Take sixty of the ports that Parsl chooses from."""
    with contextlib.ExitStack() as stack:
        for port in (*range(54000, 54030), *range(55000, 55030)):
            taken = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                taken.bind(("127.0.0.1", port))
        yield


@pytest.mark.slow
def test_a_poisonous_shard_is_set_aside_with_its_log_and_the_rest_is_finished(tmp_path):
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults/2").write_text("poison")
    ended = subprocess.run(
        sweep_command(tmp_path, n_shards=5), cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "FAILED sweep.002 after 3 attempts, lost worker: WorkerLost" in ended.stderr
    assert "5 done, 1 failed, 1 not run" in ended.stdout
    assert (tmp_path / "ledger.txt").read_text().count("poison 2") == 3
    set_aside = json.loads((tmp_path / "results/runs/demo/failed/sweep.002.json").read_text())
    assert set_aside["copy"] == "results/runs/demo/failed/sweep.002.log"


class FakePool:
    """Answers each job at once, from a list per task; a function is called with the job."""

    slots = 2

    def __init__(self, answers, broken=0):
        self.answers, self.jobs, self.breaks, self.closed = answers, [], broken, 0
        self.given = {}

    def threads(self, alone):
        return 8 if alone else 1

    def submit(self, job):
        self.jobs.append((job["name"], time.monotonic()))
        self.given[job["name"]] = job["threads"]
        future = Future()
        answer = (
            self.answers.get(job["name"], [done]).pop(0) if self.answers.get(job["name"]) else done
        )
        if answer == "silence":
            self.silent = future
            return future
        answer = answer(job) if callable(answer) else answer
        future.set_exception(answer) if isinstance(answer, Exception) else future.set_result(answer)
        return future

    def broken(self):
        self.breaks -= 1
        return self.breaks == 0

    def close(self):
        self.closed += 1
        self.silent.set_exception(clusters.MessengerLost("it died"))


def done(job):
    """A worker that finishes the job."""
    return notebook._finish(
        job, Path(job["root"], job["out_dir"]), {"seconds": 1.0, "peak_mb": 1}, []
    )


class WorkerLost(Exception):
    """Named like Parsl's."""


LOST, RAISED = (
    {"kind": "dead kernel", "error": "killed"},
    {"kind": "raised", "error": "ValueError: no"},
)


@pytest.fixture
def conduct(tmp_path, monkeypatch):
    """Run tasks a, b, c (c after both) on a fake pool; returns the conductor."""
    script = tmp_path / "task.py"
    script.write_text("")
    monkeypatch.setattr(schedule, "PAUSE", 0.05)

    def go(answers, pool=None, force=False, only="abc", keep_logs=False, **settings):
        after = (("a", ()), ("b", ()), ("c", ("a", "b")))
        tasks = [plan.Task(n, script, {}, a, True, selected=n in only) for n, a in after]
        with schedule.claim(tmp_path / "out"):
            for name in () if keep_logs else "abc":
                (tmp_path / "out/logs" / f"{name}.log").touch()
            work = plan.Plan(tasks, tmp_path, "work", "out", force=force)
            workers = pool or FakePool(answers)
            lead = schedule.Conductor(work, workers, lambda *_: None, **settings)
            lead.run()
        return lead

    return go


def states(lead):
    return "".join(f"{name} {task.state} {task.tries}, " for name, task in lead.plan.tasks.items())


def test_a_dead_kernel_is_tried_again_and_waits_longer_each_time(conduct):
    lead = conduct({"a": [LOST, LOST]})
    times = [t for name, t in lead.pool.jobs if name == "a"]
    assert states(lead) == "a done 3, b done 1, c done 1, "
    assert times[1] - times[0] >= 0.05 and times[2] - times[1] >= 0.1


def test_only_a_notebook_that_nothing_runs_beside_gets_every_core(conduct):
    assert conduct({}).pool.given == {"a": 8, "b": 1, "c": 8}


def test_tries_are_bounded_and_what_depends_on_the_task_is_not_run(conduct):
    lead = conduct({"a": [LOST] * 9})
    assert states(lead) == "a failed 3, b done 1, c blocked 0, "
    assert lead.plan.tasks["c"].reason == "a did not finish"


def test_a_raising_notebook_is_not_tried_again(conduct):
    assert states(conduct({"a": [RAISED]})) == "a failed 1, b done 1, c blocked 0, "


def test_a_worker_lost_after_its_task_was_finished_counts_as_done(conduct):
    def finish_and_die(job):
        done(job)
        return WorkerLost("gone")

    assert states(conduct({"a": [finish_and_die]})) == "a done 1, b done 1, c done 1, "


def test_what_was_not_selected_does_not_run_after_what_was(conduct):
    whole = conduct({})
    assert states(whole) == "a done 1, b done 1, c done 1, "
    lead = conduct({}, force=True, only="ab")
    assert states(lead) == "a done 1, b done 1, c kept 0, " and [
        name for name, _ in lead.pool.jobs
    ] == ["a", "b"]


def test_an_answer_that_is_no_loss_stops_the_run_with_its_reason(conduct):
    lead = conduct({"a": [ModuleNotFoundError("No module named 'lib'")]})
    assert states(lead) == "a failed 1, b done 1, c blocked 0, "
    assert lead.stopped == "broken workers: ModuleNotFoundError: No module named 'lib'"


def test_a_full_disk_stops_the_start_of_further_notebooks(conduct, monkeypatch):
    assert conduct(
        {"a": [{"kind": "disk full", "error": "OSError: [Errno 28]"}]}
    ).stopped.startswith("disk full")
    monkeypatch.setattr(schedule, "LEAST_FREE", 1e30)
    lead = conduct({}, force=True)
    assert "is full" in lead.stopped and not lead.pool.jobs


def test_a_task_that_another_worker_still_runs_is_waited_for_without_counting(conduct, monkeypatch):
    monkeypatch.setattr(schedule, "BUSY_PAUSE", 0.01)
    busy = {"kind": "busy", "error": "another worker is still running it"}
    assert states(conduct({"a": [busy] * 6})) == "a done 1, b done 1, c done 1, "


def test_a_task_that_a_worker_of_a_killed_run_finishes_meanwhile_is_not_run_again(
    conduct, monkeypatch
):
    monkeypatch.setattr(schedule, "BUSY_PAUSE", 0.01)

    def busy(job):
        done(job)  # the other worker ends just now
        return {"kind": "busy", "error": "another worker is still running it"}

    lead = conduct({"a": [busy], "c": [busy]})
    assert [name for name, _ in lead.pool.jobs] == ["a", "b", "c"]
    assert {task.state for task in lead.plan.tasks.values()} == {"done", "skipped"}


def written(job):
    """A worker that writes a table and finishes the job."""
    root = Path(job["root"])
    (root / "work").mkdir(exist_ok=True)
    table = root / "work" / f"{job['name']}.txt"
    table.write_text(job["name"])
    (root / "out/done" / f".{job['name']}.journal").write_text(str(table))
    return done(job)


@pytest.mark.parametrize("change", ["removed", "edited", "emptied", "a folder"])
def test_a_run_that_lost_a_table_meanwhile_is_not_done(conduct, tmp_path, change):
    def late(job):
        path = tmp_path / "work/a.txt"
        path.unlink()
        if change in ("edited", "emptied"):
            path.write_text("A" if change == "edited" else "")
        if change == "a folder":
            path.mkdir()
        return written(job)

    lead = conduct({"a": [written], "c": [late]})
    assert states(lead) == "a failed 1, b done 1, c done 1, "
    assert lead.plan.tasks["a"].reason == "work/a.txt is missing or was changed"
    if change == "a folder":
        (tmp_path / "work/a.txt").rmdir()
    again = conduct({"a": [written], "c": [written]})
    assert again.plan.tasks["a"].state == "done"


def test_a_worker_lost_while_the_old_result_is_no_longer_whole_is_tried_again(conduct, tmp_path):
    conduct({"a": [written]})
    (tmp_path / "work/a.txt").unlink()
    lead = conduct({"a": [WorkerLost("gone"), written]})
    assert [name for name, _ in lead.pool.jobs] == ["a", "a"]
    assert (tmp_path / "work/a.txt").exists() and lead.plan.tasks["a"].state == "done"


@pytest.mark.parametrize("change", ["table", "notebook", "marker", "copy"])
def test_a_stale_table_of_what_was_not_selected_stops_the_run_and_is_named(
    conduct, tmp_path, change
):
    conduct({"a": [written]})
    said = {
        "table": "a is not done (work/a.txt is missing or was changed): run it first",
        "notebook": "a is not done (the notebook changed): run it first",
        "marker": "a is not done (not run yet): run it first",
        "copy": "a is not done (its executed copy is missing): run it first",
    }
    if change == "table":
        (tmp_path / "work/a.txt").write_text("edited")
    if change == "notebook":
        (tmp_path / "task.py").write_text("1 + 1")
    if change == "marker":
        (tmp_path / "out/done/a.json").write_text("{")
    if change == "copy":
        (tmp_path / "out/logs/a.log").unlink()
    lead = conduct({}, only="c", force=True, keep_logs=True)
    assert lead.plan.tasks["c"].state == "blocked" and not lead.pool.jobs
    assert lead.plan.tasks["c"].reason == said[change]


def test_when_the_messenger_dies_new_workers_take_over(conduct):
    lead = conduct({}, pool=FakePool({"a": ["silence"]}, broken=1))
    assert states(lead) == "a done 2, b done 1, c done 1, "
    assert lead.pool.closed == 1


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    with schedule.claim(tmp_path / "out"):
        assert schedule.held(tmp_path / "out")
        with pytest.raises(
            schedule.Refused,
            match=rf"another run holds .*out \(process {os.getpid()} on .*wait for it",
        ):
            with schedule.claim(tmp_path / "out"):
                pass
    assert not schedule.held(tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path, capsys):
    root = repository(tmp_path, n_shards=0, code=CODE)
    (root / "results").symlink_to("/proc")
    assert run_all.main(["--only", "01"], root=root) == 2
    message = capsys.readouterr().err
    assert "cannot write to" in message and len(message.splitlines()) == 1
