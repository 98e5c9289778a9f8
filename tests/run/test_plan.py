"""What is due: by content, whoever computed it and wherever it is kept."""

import json

import pytest

import run_all
from lib.run import keys, notebook, plan, schedule

OWN = {"work_dir": "work", "out_dir": "out"}


@pytest.fixture
def root(tmp_path):
    with schedule.claim(tmp_path / "out"):
        pass
    (tmp_path / "work").mkdir()
    for name in ("01.py", "05.py", "06.py"):
        (tmp_path / name).write_text("pass")
    return tmp_path


def tasks(root, n=3, own=OWN):
    shards = [
        plan.Task(
            f"05.{i}",
            root / "05.py",
            own | {"shard": i},
            ("01",),
            identity={"shard": None, "runs": f"runs {i}"},
        )
        for i in range(n)
    ]
    first, last = (
        plan.Task("01", root / "01.py", own),
        plan.Task("06", root / "06.py", own, tuple(s.name for s in shards)),
    )
    return [first, *shards, last]


def make(root, **settings):
    return plan.Plan(tasks(root, **settings), root, **settings.get("own", OWN))


def finish(work, name, **files):
    """Pretend that a task ran and wrote files into the work folder."""
    outputs = {}
    for file, text in files.items():
        path = work.root / work.work_dir / f"{file}.txt"
        path.write_text(text)
        outputs[str(path.relative_to(work.root))] = keys.sha(text)
    key = work.key(work.tasks[name])
    marker = {"digest": keys.digest(key), "key": key, "outputs": outputs}
    (work.out / "done" / f"{name}.json").write_text(json.dumps(marker))
    (work.out / "logs" / f"{name}.log").touch()
    work.recall(name, marker)


def run_through(root):
    work = make(root)
    finish(work, "01", doses="doses")
    for i in range(3):
        finish(work, f"05.{i}", **{f"runs{i}": f"runs {i}", "grid": "0 1 2"})
    finish(work, "06")
    return work


def due(work):
    return {
        task.name: (action, reason) for task, action, reason in work.preview() if action != "skip"
    }


def test_a_finished_run_is_not_due_also_for_another_process(root):
    run_through(root)
    assert due(make(root)) == {}


def test_a_changed_table_makes_those_that_read_it_due_and_no_others(root):
    run_through(root)
    work = make(root)
    finish(work, "05.1", runs1="other runs", grid="0 1 2")
    assert due(make(root)) == {"06": ("run", "input work/runs1.txt changed")}


def test_a_notebook_that_gives_the_same_table_again_makes_nothing_after_it_due(root):
    run_through(root)
    (root / "01.py").write_text("pass  # in other words")
    work = make(root)
    found = due(work)
    assert found["01"] == ("run", "the notebook changed") and found["06"][0] == "wait"
    finish(work, "01", doses="doses")
    assert due(make(root)) == {}


def test_a_lost_or_damaged_table_is_made_again(root):
    run_through(root)
    (root / "work/runs2.txt").write_text("runs x")
    (root / "work/runs0.txt").unlink()
    found = due(make(root))
    assert found["05.0"] == ("run", "work/runs0.txt is missing or was changed")
    assert found["05.2"] == ("run", "work/runs2.txt is missing or was changed")
    assert found["06"] == ("wait", "after 05.2, if its tables change") and "05.1" not in found


def test_a_file_that_all_shards_write_belongs_to_none_of_them(root):
    run_through(root)
    (root / "work/grid.txt").write_text("0 1 2 3")
    assert due(make(root)) == {"06": ("run", "input work/grid.txt changed")}


def test_a_shard_keeps_its_result_when_the_grid_gives_it_another_number(root):
    run_through(root)
    renumbered = tasks(root)
    renumbered[1].parameters["shard"] = 7
    assert due(plan.Plan(renumbered, root, **OWN)) == {}
    renumbered[1].identity["runs"] = "other runs"
    assert due(plan.Plan(renumbered, root, **OWN))["05.0"] == ("run", "parameter runs changed")


def test_a_parameter_that_names_a_file_or_folder_counts_by_its_content(root):
    (root / "data/mine").mkdir(parents=True)
    (root / "data/mine/a.csv").write_text("1")
    task = plan.Task("01", root / "01.py", OWN | {"data_folder": "data/mine", "mode": "work"})
    work = plan.Plan([task], root, **OWN)
    assert work.key(task)["inputs"] == {"data/mine/a.csv": keys.sha("1")}


@pytest.mark.parametrize("value", ["mine", "mine/", "mine/a.csv", ["b", "mine"]])
def test_a_data_folder_named_without_a_slash_counts_by_its_content(root, value):
    (root / "mine").mkdir()
    (root / "mine/a.csv").write_text("1")
    task = plan.Task("01", root / "01.py", OWN | {"data_folder": value})
    work = plan.Plan([task], root, **OWN)
    finish(work, "01")
    (root / "mine/a.csv").write_text("22")
    assert due(plan.Plan([task], root, **OWN)) == {"01": ("run", "input mine/a.csv changed")}


@pytest.mark.parametrize("value", ["work", "out", "work/sweep", ".", "..", "", "\n", "x" * 300])
def test_the_folders_of_the_run_itself_and_what_names_no_file_are_no_inputs(root, value):
    (root / "work/sweep").mkdir()
    (root / "work/sweep/a.csv").write_text("1")
    task = plan.Task("01", root / "01.py", OWN | {"mode": value})
    assert plan.Plan([task], root, **OWN).key(task)["inputs"] == {}


def test_force_makes_everything_due_and_unselected_tasks_stay_out(root):
    run_through(root)
    forced = plan.Plan(tasks(root), root, **OWN, force=True)
    assert due(forced)["01"] == ("run", "forced")
    some = tasks(root)
    some[2].selected = False
    assert due(plan.Plan(some, root, **OWN))["05.1"] == ("off", "not selected")


def test_a_damaged_marker_makes_its_task_due(root):
    run_through(root)
    (root / "out/done/05.1.json").write_text("{")
    assert due(make(root))["05.1"] == ("run", "not run yet")
    assert notebook.marker(root / "out", "05.1") is None


def test_what_failed_last_time_is_due_and_says_so(root):
    (root / "out/failed").mkdir()
    (root / "out/failed/05.1.json").write_text("{}")
    assert due(make(root))["01"] == ("run", "not run yet")
    run_through(root)
    assert due(make(root)) == {}, "a success since then counts"
    (root / "out/done/05.1.json").unlink()
    assert due(make(root))["05.1"] == ("run", "failed last time")


@pytest.mark.parametrize(
    ("dataset", "read"),
    [
        ("open", {"open", "identity"}),
        ("official", {"raw", "identity"}),
        ("own", {"identity", "raw/dragon7.txt"}),
    ],
)
def test_a_data_set_brings_its_own_files_only(tmp_path, dataset, read):
    for name in (
        "open/a.csv",
        "identity/b.csv",
        "raw/dragon7.txt",
        "processed/demo/c",
        "cache/d",
        "README.md",
    ):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    found = {path.removeprefix("data/") for path in run_all.data_files(tmp_path, dataset)}
    assert read <= found and not {"processed", "cache", "README.md"} & found
    assert ("open" in found) == (dataset == "open")
