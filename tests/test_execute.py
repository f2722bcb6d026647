"""What is left to do, and in which order."""

from types import SimpleNamespace

import pytest

from thesisbench.errors import UserError
from thesisbench.execute import Rerun, longest_first, make_launcher, sort_out, write_folders
from thesisbench.launch.jobs import Job
from thesisbench.launch.local import LocalLauncher
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun


def _run(run_id, step="fit", needs=(), **levels):
    wanted = {"weights": tuple(needs)} if needs else {}
    return SimpleNamespace(
        id=run_id,
        chapter="c",
        step=step,
        kind="fit",
        levels=levels,
        needs=wanted,
        exclusive=False,
        config={},
    )


def _order(runs, seconds):
    jobs = [Job(r.id, tuple(n for ids in r.needs.values() for n in ids)) for r in runs]
    return [job.id for job in longest_first(jobs, {r.id: r for r in runs}, seconds)]


def test_longest_first_by_what_runs_of_the_same_levels_took():
    runs = [_run("a0", b="same"), _run("a1", b="same"), _run("f0", b="full"), _run("f1", b="full")]
    assert _order(runs, {"a0": 10.0, "f0": 60.0}) == ["f0", "f1", "a0", "a1"]


def test_unknown_runs_count_as_longest_and_keep_their_order():
    runs = [_run("a", b="x"), _run("b", b="y"), _run("c", b="z")]
    assert _order(runs, {"b": 5.0}) == ["a", "c", "b"]


def test_jobs_that_need_others_are_looked_at_first():
    runs = [_run("fit", b="x"), _run("test", step="test", needs=["fit"])]
    assert _order(runs, {"fit": 9.0}) == ["test", "fit"]


def test_longest_first_keeps_two_workers_busy():
    """Greedy list scheduling: the makespan is at most that of the given order, and near ideal."""
    lengths = {"v": 25.0, "s": 40.0, "c": 45.0, "f": 62.0}
    runs = [_run(f"{k}{i}", b=k) for k in lengths for i in range(3)]
    seconds = {r.id: lengths[r.id[0]] for r in runs}

    def makespan(order):
        free = [0.0, 0.0]
        for run_id in order:
            free[free.index(min(free))] += seconds[run_id]
        return max(free)

    best = makespan(_order(runs, seconds))
    assert best < makespan([r.id for r in runs])
    assert best <= 1.02 * sum(seconds.values()) / 2


@pytest.mark.parametrize(
    ("state", "rerun", "where"),
    [
        ("done", [], "done"),
        ("diverged", [], "done"),
        ("failed", [], "held"),
        ("failed", ["failed"], "jobs"),
        ("stale", [], "held"),
        ("stale", ["stale"], "jobs"),
        ("interrupted", [], "jobs"),
        ("queued", [], "jobs"),
        ("absent", [], "jobs"),
        ("done", ["a"], "jobs"),
    ],
)
def test_states_are_sorted_out(state, rerun, where):
    work = sort_out([_run("a")], {"a": state}, Rerun.of(rerun, ["a"]))
    found = {"done": work.done, "held": list(work.held), "jobs": [j.id for j in work.jobs]}
    assert [name for name, ids in found.items() if ids == ["a"]] == [where]


def test_what_needs_a_held_run_is_held_and_what_needs_a_rerun_is_run_again():
    runs = [_run("a"), _run("b", step="test", needs=["a"])]
    held = sort_out(runs, {"a": "failed", "b": "queued"}, Rerun())
    assert set(held.held) == {"a", "b"}
    again = sort_out(runs, {"a": "done", "b": "done"}, Rerun.of(["a"], ["a", "b"]))
    assert [j.id for j in again.jobs] == ["a", "b"]


@pytest.mark.parametrize("word", ["x", "ab", ""])
def test_rerun_names_one_run(word):
    with pytest.raises(UserError, match="--rerun"):
        Rerun.of([word], ["ab1", "ab2"])


@pytest.mark.parametrize(
    "node", [{"workers": 0}, {"workers": "x"}, {"threads": 0}, {"name": "slurm"}, {"workers": True}]
)
def test_launcher_nodes_that_make_no_sense_are_refused(node):
    with pytest.raises(UserError):
        make_launcher({"name": "local", **node}, [])


def test_workers_default_to_the_cores_at_hand():
    launcher = make_launcher({"name": "local", "workers": None, "threads": 1}, [])
    assert isinstance(launcher, LocalLauncher)
    assert launcher.workers >= 1


def _planned(accelerator):
    return PlannedRun(
        id="a" * 16,
        lineage="b" * 16,
        chapter="t/c",
        step="fit",
        kind="fit",
        recipe="t/c/r",
        scale="small",
        levels={},
        replicate={"seed": 0},
        config={"trainer": {"accelerator": accelerator}},
    )


def test_a_failed_run_is_tried_again_with_the_new_device(tmp_path):
    store = RunStore(tmp_path)
    write_folders(store, [_planned("gpu")], ["a" * 16], overridden=False)
    folder = store.folder("a" * 16)
    lease = Lease.claim(folder.path).lease
    folder.write_state({"name": "failed", "message": "no GPU"}, lease)
    lease.release()
    write_folders(store, [_planned("cpu")], ["a" * 16], overridden=False)
    assert folder.read_config()["config"]["trainer"] == {"accelerator": "cpu"}


def test_a_running_run_keeps_its_configuration(tmp_path):
    store = RunStore(tmp_path)
    write_folders(store, [_planned("gpu")], ["a" * 16], overridden=False)
    lease = Lease.claim(store.folder("a" * 16).path).lease
    write_folders(store, [_planned("cpu")], ["a" * 16], overridden=False)
    assert store.folder("a" * 16).read_config()["config"]["trainer"] == {"accelerator": "gpu"}
    lease.release()
