"""The conductor from outside: what runs, what is skipped, what a failure looks like."""

import gzip
import http.server
import json
import subprocess
import sys
import threading

import pandas as pd
import pytest
import small_run
import yaml
from small_run import CODE, PARAMETERS, copy_of_repository, notebook, profile, repository, run

import lib.sweep
import run_all
from lib.paper import SPLIT_NAMES
from lib.paths import ROOT, STUDIES
from lib.run import clusters, profiles


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setattr(lib.sweep, "grid", small_run, raising=False)
    monkeypatch.setitem(sys.modules, "lib.sweep.grid", small_run)
    return repository(tmp_path)


def plan(root, *options, name="demo"):
    options = run_all.arguments().parse_args(["--profile", name, *options])
    settings = profiles.load(name, root / "profiles", tuple(run_all.GRAPH))
    return run_all.make_plan(options, settings, root)


def refusal(root, capsys, *options):
    assert run_all.main(list(options), root=root) == 2
    return capsys.readouterr().err


@pytest.mark.slow
def test_a_run_computes_everything_once_and_a_second_one_nothing(tmp_path):
    root = repository(tmp_path, n_shards=2)
    first = run(root, "--profile", "demo")
    assert first.returncode == 0, first.stderr
    assert "total      8 done; " in first.stdout
    out = root / "results/runs/demo"
    assert (out / "tables/headline.csv").read_text() == "DOSES0\nDOSES1"
    assert "next       make report, then open " in first.stdout
    assert "start    01_ingest            first run\n" in first.stdout
    assert (out / "notebooks/05_train_sweep.1.ipynb").exists()
    assert json.loads((out / "done/01_ingest.json").read_text())["outputs"].keys() == {
        "data/processed/demo/responses.txt"
    }
    second = run(root, "--profile", "demo")
    assert second.returncode == 0 and "0 done, 8 skipped; " in second.stdout

    (root / "data/open/doses.txt").write_text("more")
    assert "run   01_ingest" in run(root, "--list").stdout
    assert (root / "data/processed/demo/responses.txt").read_text() == "doses"


@pytest.mark.slow
def test_a_failure_names_notebook_cell_error_and_copy_and_the_rest_finishes(tmp_path):
    code = CODE | {"03_cell_features": "lines = []\nlines[7]"}
    root = repository(tmp_path, n_shards=1, code=code)
    ended = run(root)
    assert ended.returncode == 1
    assert (
        "FAILED 03_cell_features after 1 attempt, raised: IndexError: list index out of range"
        in ended.stderr
    )
    assert "in cell 'body': lines = []" in ended.stderr
    assert "executed copy: results/runs/demo/failed/03_cell_features.ipynb" in ended.stderr
    assert "3 done, 1 failed, 3 not run; " in ended.stdout
    assert not (root / "results/runs/demo/done/03_cell_features.json").exists()
    assert (root / "data/processed/demo/drugs.txt").exists()


@pytest.mark.slow
def test_the_real_notebooks_run_from_first_to_last_and_are_then_not_due(local_smoke):
    root, ended = local_smoke
    assert ended.returncode == 0, ended.stdout + ended.stderr
    out, work = root / "results/runs/smoke", root / "data/processed/smoke"
    assert {p.name[:2] for p in (out / "notebooks").glob("0*.ipynb")} == {
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
    }
    headline = pd.read_csv(out / "tables/headline.csv")
    assert {"network, chosen by inner score", "mean_effects", "ridge"} <= set(headline.predictor)
    assert set(pd.read_parquet(work / "fits.parquet").study) == set(STUDIES)
    assert (out / "figures/run_timeline.png").exists()
    again = small_run.real(root, "smoke", "--list")
    assert again.stdout and all(line.startswith("skip") for line in again.stdout.splitlines()), (
        again.stdout
    )


EXOMES = "NCI-60/nci60_DNA__Exome_Seq_Protein_function_affecting.zip"
OFFICIAL = {  # files of three releases that the excerpts of the tests can stand for
    "CCLE/CCLE_NP24.2009_Drug_data_2015.02.24.csv": "CCLE_NP24.2009_Drug_data_2015.02.24.csv",
    "GDSC/GDSC2_public_raw_data_27Oct23.csv": "GDSC2_public_raw_data_example.csv.gz",
    EXOMES: "nci60_DNA__Exome_Seq_excerpt.zip",
}


class Releases(http.server.BaseHTTPRequestHandler):
    """Serves excerpts under the names of the official files; breaks the first connection.

    All other names are answered with 404.
    """

    asked = []

    def log_message(self, *arguments):
        """Quiet."""

    def do_GET(self):
        name = self.path.strip("/")
        self.asked.append(name)
        if name not in OFFICIAL:
            return self.send_error(404)
        raw = (ROOT / "tests" / "data" / OFFICIAL[name]).read_bytes()
        body = gzip.decompress(raw) if OFFICIAL[name].endswith(".gz") else raw
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", '"one"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        first = self.asked.count(name) == 1 and name.startswith("CCLE")
        self.wfile.write(body[start : len(body) // 2 if first else None])
        self.close_connection = True


@pytest.fixture
def releases(tmp_path):
    """A copy of the repository whose addresses of the official files are a server on loopback."""
    Releases.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Releases)
    threading.Thread(
        target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True
    ).start()
    root = copy_of_repository(tmp_path / "repository")
    listed = yaml.safe_load((root / "lib/screens/official.yml").read_text())
    for study, group in listed.items():
        for entry in group["files"]:
            entry["url"] = f"http://127.0.0.1:{server.server_port}/{study}/{entry['file']}"
    (root / "lib/screens/official.yml").write_text(yaml.safe_dump(listed))
    yield root
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_one_command_fetches_the_releases_and_ingests_what_could_be_had(releases):
    command = [sys.executable, "run_all.py", "--profile", "paper", "--only", "01"]
    listing = subprocess.run(
        [*command, "--list"], cwd=releases, capture_output=True, text=True, timeout=300
    )
    assert "run   01_ingest" in listing.stdout and not Releases.asked
    done = subprocess.run(command, cwd=releases, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in OFFICIAL:
        assert f"fetched  {path}" in done.stdout and (releases / "data/raw" / path).exists()
    assert (
        "failed   gCSI/gCSI_GRdata_v1.3.tsv.tar.gz: HTTP 404" in done.stdout
        and "place it as" in done.stdout
    )
    assert (
        Releases.asked.count("CCLE/CCLE_NP24.2009_Drug_data_2015.02.24.csv") == 2
    )  # broken once, then resumed
    lock = json.loads((releases / "data/raw/lock.json").read_text())
    assert lock.keys() == OFFICIAL.keys() and all(entry["sha256"] for entry in lock.values())
    work = releases / "data/processed/paper"
    assert pd.read_parquet(work / "responses.parquet").groupby(
        "study"
    ).curve_id.nunique().to_dict() == {"CCLE": 60}
    refused = pd.read_parquet(
        work / "audit_refused.parquet"
    )  # the table that names GDSC's compounds could not be had
    assert set(refused.study) == {"GDSC"} and refused.curves.sum() == 11
    gaps = pd.read_parquet(work / "audit_left_out.parquet")["where"]
    assert {"gCSI responses", "NCI-60 responses", "GDSC drugs"} <= set(gaps)

    fitted = subprocess.run(
        [*command[:-1], "02"], cwd=releases, capture_output=True, text=True, timeout=600
    )
    assert fitted.returncode == 0, fitted.stdout + fitted.stderr
    fits = pd.read_parquet(work / "fits.parquet")
    assert len(fits) == 60 and fits.converged.all() and fits.auc.between(0, 1).all()

    asked = len(Releases.asked)
    again = subprocess.run(command, cwd=releases, capture_output=True, text=True, timeout=300)
    assert "0 done, 1 skipped" in again.stdout and len(Releases.asked) == asked, (
        again.stdout + again.stderr
    )


def test_a_profile_may_forbid_fetching(small, capsys, monkeypatch):
    from lib.screens import datasets

    asked = []
    monkeypatch.setattr(datasets, "fetch", lambda *given: asked.append(given) or "had")
    profile(small, dataset="gdsc")
    work = plan(small)
    forbidden = run_all.profiles.Profile(dataset="gdsc", notebooks={"01_ingest": {"fetch": False}})
    assert not run_all.fetched(work, forbidden) and not asked
    allowed = run_all.profiles.Profile(
        dataset="gdsc", notebooks={"01_ingest": {"data_folder": "here"}}
    )
    assert run_all.fetched(work, allowed) and asked == [("gdsc", None, small / "here")]
    assert not run_all.fetched(work, run_all.profiles.Profile(dataset="open")) and len(asked) == 1


def test_listing_says_what_would_run_and_why_and_writes_nothing(small, capsys):
    assert run_all.main(["--list"], root=small) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "01_ingest", "not", "run", "yet"]
    assert lines[-1].startswith("wait  07_screen")
    assert not (small / "results").exists()


def test_only_and_from_choose_notebooks(small):
    chosen = [t.name for t in plan(small, "--only", "02").tasks.values() if t.selected]
    later = [t.name for t in plan(small, "--from", "05").tasks.values() if t.selected]
    assert chosen == ["02_hill_fit"]
    shards = [f"05_train_sweep.{i}" for i in range(3)]
    assert later == [*shards, "06_analysis", "07_screen"]


def test_a_data_set_without_doses_has_no_hill_fit_and_the_others_do_not_wait_for_it(small, capsys):
    profile(small, dataset="gdsc", sweep={"n": 1})
    tasks = plan(small).tasks
    assert not {"02_hill_fit", "07_screen"} & tasks.keys()
    assert tasks["05_train_sweep.0"].after == ("03_cell_features", "04_drug_features")
    for number, name in (("02", "02_hill_fit"), ("07", "07_screen")):
        assert f"no doses: {name} has nothing to do" in refusal(small, capsys, "--only", number)


def test_each_shard_gets_its_index_and_its_folders(small):
    task = plan(small).tasks["05_train_sweep.2"]
    assert task.parameters == {
        "work_dir": "data/processed/demo",
        "out_dir": "results/runs/demo",
        "profile": "demo",
        "shard": 2,
    }
    assert task.after == ("02_hill_fit", "03_cell_features", "04_drug_features")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"dataset": "opne"},
            "dataset is 'opne': input should be 'open', 'gdsc', 'official' or 'own'",
        ),
        (
            {"resources": {"wrokers": 2}},
            "unknown key 'resources.wrokers'; choose from workers, threads",
        ),
        (
            {"resources": {"workers": "two"}},
            "resources.workers is 'two': input should be a valid integer",
        ),
        ({"notebooks": {"07_more": {}}}, "unknown notebook '07_more'; choose one of 01_ingest"),
        (
            {"notebooks": {"01_ingest": {"rows": 1}}},
            "01_ingest.ipynb: unknown parameter(s) ['rows']; it declares",
        ),
        (
            {"notebooks": {"01_ingest": {"n_rows": "many"}}},
            "bad.yml: 01_ingest: n_rows is 'many': input should be a valid integer; the notebook has 3",
        ),
    ],
)
def test_a_faulty_profile_is_refused_in_one_sentence(small, capsys, settings, said):
    profile(small, "bad", **settings)
    message = refusal(small, capsys, "--profile", "bad")
    assert said in message and len(message.strip().splitlines()) == 1


def test_an_unknown_profile_is_answered_with_those_there_are(small, capsys):
    assert refusal(small, capsys, "--profile", "dmeo") == (
        "run_all: there is no profile 'dmeo'; choose one of demo\n"
    )


def test_an_unknown_notebook_number_is_refused(small, capsys):
    assert "--only 9: no such notebook; choose one of 01_ingest" in refusal(
        small, capsys, "--only", "9"
    )


def test_a_notebook_without_the_folders_as_parameters_is_refused(small, capsys):
    notebook(small / "notebooks/04_drug_features.ipynb", "pass", 'work_dir: str = "x"')
    assert "04_drug_features.ipynb: it must declare ['out_dir']" in refusal(small, capsys)


def test_parameters_that_are_computed_are_refused(small, capsys):
    notebook(
        small / "notebooks/04_drug_features.ipynb", "pass", PARAMETERS + "path = work_dir + '/x'"
    )
    assert "may hold literals only, found \"path = work_dir + '/x'\"" in refusal(small, capsys)


def test_a_missing_notebook_is_refused_before_anything_starts(small, capsys):
    (small / "notebooks/02_hill_fit.ipynb").unlink()
    assert "02_hill_fit.ipynb is missing" in refusal(small, capsys)


def test_the_cores_are_divided_among_the_workers_and_a_lonely_notebook_gets_all(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(clusters.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    local = clusters.ParslPool.local(workers=4, threads=0, log_dir=tmp_path)
    assert (local.slots, local.threads(alone=False), local.threads(alone=True)) == (4, 2, 8)
    assert (
        clusters.ParslPool.local(workers=4, threads=1, log_dir=tmp_path).threads(alone=False) == 1
    )


def test_the_help_lists_the_profiles_with_a_line_each(capsys):
    with pytest.raises(SystemExit):
        run_all.main(["--help"])
    said = capsys.readouterr().out
    profiles_there = sorted((ROOT / "profiles").glob("*.yml"))
    assert len(profiles_there) > 5
    for path in profiles_there:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# ") and first[-1] in ".?" and len(first) < 90
        assert f"\n  {path.stem:20} {first[2:]}\n" in said


def mark(root, number, shard):
    """Pretend that a shard has finished under a number."""
    found = {"digest": "", "outputs": {}, "key": {}, "shard": shard}
    done = root / "results/runs/demo/done"
    done.mkdir(parents=True, exist_ok=True)
    (done / f"05_train_sweep.{number}.json").write_text(json.dumps(found))


def test_a_shard_keeps_its_number_when_the_grid_around_it_changes(small):
    assert [task.shard for task in plan(small).tasks.values() if task.shard] == [
        "shard-000",
        "shard-001",
        "shard-002",
    ]
    mark(small, 0, "shard-002")
    mark(small, 5, "shard-001")
    mark(small, 1, "a shard of an earlier grid")
    mark(small, "shard-000", "shard-000")  # a name that is no number
    tasks = plan(small).tasks
    own = {name: (task.shard, task.parameters.get("shard")) for name, task in tasks.items()}
    assert own["05_train_sweep.0"] == ("shard-002", 2)
    assert own["05_train_sweep.1"] == ("shard-000", 0)
    assert own["05_train_sweep.5"] == ("shard-001", 1)
    chosen = plan(small, "--shards", "1:6").tasks
    assert [name for name, task in chosen.items() if task.shard and task.selected] == [
        "05_train_sweep.1",
        "05_train_sweep.5",
    ]


def test_executed_copies_of_an_earlier_grid_go_and_what_it_trained_stays(small):
    work = plan(small)
    copies = work.out / "notebooks"
    copies.mkdir(parents=True)
    for number in (2, 3, "an older name"):
        mark(small, number, "shard-002")
        (copies / f"05_train_sweep.{number}.ipynb").touch()
    (copies / "05_train_sweep.mine.ipynb").touch()  # nobody's marker: not ours
    trained(small, "an older shard")
    run_all.declare(work)
    names = {path.name for path in copies.iterdir()}
    assert names == {"05_train_sweep.2.ipynb", "05_train_sweep.mine.ipynb"}
    assert [path.stem for path in (work.out / "done").iterdir()] == ["05_train_sweep.2"]
    assert (small / "data/processed/demo/sweep/an older shard/runs.parquet").exists()


@pytest.mark.parametrize("text", ["3:", "7:9", "2:1", ":0"])
def test_shards_that_are_not_there_are_refused(small, capsys, text):
    said = f"run_all: --shards {text} names none of the 3 shards, 0 to 2\n"
    assert refusal(small, capsys, "--shards", text) == said


def test_a_listing_says_which_shard_a_number_is(small, capsys):
    run_all.main(["--list"], root=small)
    said = capsys.readouterr().out
    assert (
        "05_train_sweep.2     after 04_drug_features, if its tables change  (shard-002)\n" in said
    )


def test_a_failure_says_which_shard_it_was(small, capsys):
    task = plan(small).tasks["05_train_sweep.2"]
    task.result = {"kind": "raised", "error": "ValueError: no"}
    run_all.tell_failure(task)
    said = capsys.readouterr().err
    assert "FAILED 05_train_sweep.2 after 0 attempts, raised: ValueError: no\n  shard" in said
    assert "shard shard-002\n" in said


def test_before_anything_has_finished_the_estimate_is_what_was_committed(small, capsys):
    (small / "results/tables").mkdir(parents=True)
    table = small / "results/tables/timings.csv"
    table.write_text("notebook,start,seconds,peak_mb\n01_ingest,0,25,1\n05_train_sweep.0,9,40,1\n")
    assert run_all.main(["--dry-run"], root=small) == 0
    said = capsys.readouterr().out
    assert "01_ingest: 1 execution, about 25 s (from the demo, results/tables/timings.csv)" in said
    assert "05_train_sweep: 3 executions, about 120 s (" in said.replace("2 min", "120 s")
    assert "02_hill_fit: not known, nothing like it has finished or was timed" in said


def test_the_papers_grid_is_estimated_from_the_accelerator_that_was_measured():
    found = run_all.timed(ROOT, "official")
    assert found == [
        {
            "name": "05_train_sweep",
            "seconds": 3600 * 41,
            "n_runs": 42_768,
            "accelerator": "0",
            "source": "one H100, benchmarks/train_h100.md",
        }
    ]
    assert run_all.timed(ROOT, "own") == []
    demo = run_all.timed(ROOT, "open")
    assert {row["name"].split(".")[0] for row in demo} == set(run_all.GRAPH)


def trained(root, shard, *rows):
    path = root / "data/processed/demo/sweep" / shard / "runs.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame(rows, columns=["model", "status", "reason"]).to_parquet(path)


def test_a_sweep_whose_every_network_failed_is_not_done(small, capsys, monkeypatch):
    few = "3 distinct key(s) cannot fill 5 folds"
    work = plan(small)
    assert run_all.why_untrained(work) == ""
    for task in work.tasks.values():
        task.state = "done"
    trained(small, "shard-000", ("mlp", "failed", few), ("ridge", "early_stop", ""))
    trained(small, "shard-001", ("mlp", "failed", few), ("mlp", "failed", "other"))
    said = f"every one of 3 networks failed, most because: {few}"
    assert run_all.why_untrained(work) == said
    monkeypatch.setattr(run_all.timeline, "draw", lambda out: out)
    assert run_all.close(work, 1.0, "") == 1
    assert f"FAILED 05_train_sweep: {said}" in capsys.readouterr().err
    work.tasks["05_train_sweep.0"].selected = False
    work.tasks["05_train_sweep.1"].state = "blocked"
    assert run_all.why_untrained(work) == ""
    work.tasks["05_train_sweep.1"].state = "skipped"
    assert run_all.why_untrained(work).startswith("every one of 2 networks")
    trained(small, "shard-002", ("mlp", "epoch_cap", ""))
    assert run_all.why_untrained(work) == "" and run_all.close(work, 1.0, "") == 0


def test_the_findings_are_a_line_per_split_and_the_claims_counted(tmp_path):
    assert run_all.findings(tmp_path) == []
    (tmp_path / "headline.csv").write_text(
        "split,study,predictor,r2\non_cell,CCLE,ridge,0.69\non_cell,All,ridge,0.60367\n"
        "on_cell,All,mean_effects,0.7\non_drug,All,ridge,\non_cell,All,drug_mean,0.9\n"
        '"on_cell",All,"network, chosen by inner score",-0.1\n'
    )
    (tmp_path / "verdicts.csv").write_text("claim,verdict\na,open\nb,open\nc,untested\n")
    assert run_all.findings(tmp_path) == [
        f"R² on {SPLIT_NAMES['on_cell']}: ridge 0.604, mean effects 0.700, network -0.100",
        "claims of the paper: 2 open, 1 untested",
    ]
