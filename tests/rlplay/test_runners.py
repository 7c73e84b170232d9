"""Many runs: the same bits whoever does them, in whatever order, however often they are interrupted or lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rlplay.cli.many import runner_of
from rlplay.errors import BusyError, NoRoomError, RlplayError, RlplayWarning, UsageError
from rlplay.runners.batch import Batch, Request
from rlplay.runners.job import Job, finish
from rlplay.runners.live import LiveTable, progress_of
from rlplay.runners.make import new_runner
from rlplay.runners.processes import ProcessRunner
from rlplay.runners.runner import OneByOne
from rlplay.storage import checkpoint
from rlplay.training.run_folder import new_run

ROOT = Path(__file__).parents[2]
ASKED = {
    "algo": "q-learning", "env": "FrozenLake-v1", "env_kwargs": {}, "seed": 0, "n_timesteps": 2000, "gym_packages": [],
    "dynamics": "auto", "engine": "auto", "eval_freq": 1000, "eval_episodes": 5, "save_freq": None, "keep": None,
    "log_interval": None, "tensorboard_log": None,
}  # fmt: skip


def requests(count, **changes):
    return [Request({**ASKED, "seed": seed, **changes}, {"alpha": 0.2}) for seed in range(count)]


def same_run(one, other):
    """Whether two run folders hold the same checkpoint and the same evaluations."""
    name = ASKED["env"] + ".rlp"
    a, b = checkpoint.read(one / name), checkpoint.read(other / name)
    results = [np.load(folder / "evaluations.npz")["results"].tolist() for folder in (one, other)]
    return (
        a.manifest == b.manifest
        and a.arrays.keys() == b.arrays.keys()
        and all(np.array_equal(a.arrays[k], b.arrays[k]) for k in a.arrays)
        and results[0] == results[1]
    )


class Nobody:
    def began(self, job):
        pass

    def ended(self, job, outcome):
        pass


def undisturbed(folder, given):
    """The run folders of requests, each finished alone and at once."""
    made = [new_run(folder, request.asked["algo"], request.asked["env"]).path for request in given]
    for path, request in zip(made, given, strict=True):
        assert not finish(Job(path, *request)).error
    return made


class Interrupted(OneByOne):
    """Ctrl-C after some tasks."""

    def __init__(self, after):
        self.after = after

    def results(self, function, tasks, lost=None):
        for number, pair in enumerate(super().results(function, tasks)):
            if number == self.after:
                raise KeyboardInterrupt
            yield pair


def test_an_interrupted_batch_goes_on_where_it_stopped_in_the_same_bits(tmp_path):
    given = requests(4)
    first = Batch(tmp_path / "logs", given)
    with pytest.raises(KeyboardInterrupt), first.held():
        first.finish(Interrupted(2), Nobody())
    with open(first.folder / "runs.jsonl", "ab") as file:
        file.write(b'{"key": "half a li')  # as a kill leaves it
    second = Batch(tmp_path / "logs", given)
    with second.held():
        assert len(second.outcomes) == 2
        assert len(second.jobs) == 3  # one was begun
        second.finish(OneByOne(), Nobody())
        folders = [second.outcomes[request.key].folder for request in given]
    assert len(list((tmp_path / "logs" / "q-learning").iterdir())) == 4
    assert not second.folder.exists()  # the same command would begin anew
    alone = undisturbed(tmp_path / "alone", given)
    assert all(same_run(a, b) for a, b in zip(folders, alone, strict=True))


def test_a_job_that_is_stopped_in_the_middle_goes_on_in_the_same_bits(tmp_path, monkeypatch):
    (request,) = requests(1, n_timesteps=200_000)
    (alone,) = undisturbed(tmp_path / "alone", [request])
    folder = new_run(tmp_path / "logs", "q-learning", "FrozenLake-v1").path
    from rlplay.agent.tabular import TableAgent

    plain = TableAgent.advance

    def interrupting(self, *arguments):
        if self.num_timesteps > 50_000:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TableAgent, "advance", interrupting)
        outcome = finish(Job(folder, *request))
    assert outcome.interrupted
    assert 50_000 < outcome.timesteps < 200_000
    assert finish(Job(folder, *request)).timesteps == 200_000
    assert same_run(folder, alone)


def test_other_runs_are_another_batch_and_equal_ones_are_refused(tmp_path):
    one, other = Batch(tmp_path, requests(2)), Batch(tmp_path, requests(3))
    assert one.folder != other.folder
    with pytest.raises(UsageError, match="the same"):
        Batch(tmp_path, requests(1) + requests(1))
    with (
        one.held(),
        pytest.raises(BusyError, match="another process works on the same runs"),
        Batch(tmp_path, requests(2)).held(),
    ):
        pass


def test_a_run_that_fails_ends_no_other_and_is_begun_again_by_the_same_command(tmp_path):
    given = [Request({**ASKED, "env": "NoSuchEnv-v0"}, {}), *requests(1)]
    batch = Batch(tmp_path, given)
    with batch.held():
        batch.finish(OneByOne(), Nobody())
    assert "NoSuchEnv-v0" in batch.outcomes[given[0].key].error
    assert not batch.outcomes[given[1].key].error
    again = Batch(tmp_path, given)
    with again.held():
        assert set(again.outcomes) == {given[1].key}
        assert set(again.jobs) == {request.key for request in given}  # no folder of its own for the next try


def test_a_full_disk_ends_a_batch_and_it_goes_on_when_there_is_room(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    given = requests(3)
    batch = Batch(tmp_path, given)
    with monkeypatch.context() as patch, batch.held(), pytest.raises(NoRoomError, match="the same command goes on"):
        patch.setattr("rlplay.storage.files.os.fsync", full)
        batch.finish(OneByOne(), Nobody())
    assert len(batch.jobs) == 1  # the others were not begun in vain
    again = Batch(tmp_path, given)
    with again.held():
        again.finish(OneByOne(), Nobody())
    assert len(list((tmp_path / "q-learning").iterdir())) == 3
    assert not again.failed


def test_a_log_folder_that_cannot_be_made_is_said_by_its_flag(tmp_path):
    (tmp_path / "file").write_text("")
    batch = Batch(tmp_path / "file", requests(2))
    said = "cannot be written: Not a directory. Name another folder with -f"
    with pytest.raises(UsageError, match=f"file {said}"), batch.held():
        pass
    with pytest.raises(UsageError, match=said):
        new_run(tmp_path / "file", "q-learning", "FrozenLake-v1")


def test_a_folder_without_room_is_said_in_an_outcome(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rlplay.storage.files.os.fsync", full)
    folder = new_run(tmp_path, "q-learning", "FrozenLake-v1").path
    outcome = finish(Job(folder, *requests(1)[0]))
    assert "no room is left" in outcome.error
    assert "the same command goes on" in outcome.remedy


def test_tasks_are_taken_as_there_is_room_for_them():
    taken = []

    def source():
        for number in range(500):
            taken.append(number)
            yield number

    for done, _ in enumerate(OneByOne().results(abs, source()), 1):
        assert len(taken) <= done + 1


def lost_at_first(folder, task):
    """The first worker that has a task is killed over it."""
    mark = Path(folder) / str(task)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task * 10


def always_lost(task):
    os.kill(os.getpid(), signal.SIGKILL)


def lost_over_seven(task):
    if task == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return task * 10


@pytest.mark.slow
def test_a_lost_worker_s_task_is_begun_again_a_few_times(tmp_path):
    runner = ProcessRunner(2)
    try:
        with pytest.warns(RlplayWarning, match="a worker process was lost"):
            assert sorted(runner.results(partial(lost_at_first, tmp_path), [1, 2])) == [(1, 10), (2, 20)]
        with pytest.warns(RlplayWarning), pytest.raises(RlplayError, match="lost 3 times over 7"):
            list(runner.results(always_lost, [7]))
        with pytest.warns(RlplayWarning):  # the others are not blamed, and are done
            found = dict(runner.results(lost_over_seven, [7, 1, 2, 3], lambda task, cause: f"{task}: {cause}"))
        assert found == {1: 10, 2: 20, 3: 30, 7: "7: its worker process was lost 3 times"}
    finally:
        runner.close()


def memory_of_this_process():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
def test_500_queued_runs_leave_the_driver_s_memory_flat(tmp_path):
    runner, seen = ProcessRunner(2), []
    batch = Batch(tmp_path, requests(500, n_timesteps=1, eval_freq=-1))

    class Watcher(Nobody):
        def ended(self, job, outcome):
            seen.append(memory_of_this_process())

    with batch.held():
        batch.finish(runner, Watcher())
    runner.close()
    assert len(seen) == 500
    assert seen[-1] - seen[50] < 4 * 2**20


def test_the_live_table_reads_what_runs_write(tmp_path):
    from io import StringIO

    from rich.console import Console

    given = requests(2)
    batch = Batch(tmp_path, given)
    screen = Console(file=StringIO(), force_terminal=True, width=100)
    table = LiveTable(2, 0, screen)
    with batch.held():
        batch.finish(OneByOne(), table)
        jobs = [batch.jobs[request.key] for request in given]
    now = progress_of(jobs[0].folder)
    assert (now.timesteps, now.score) == (2000, batch.outcomes[given[0].key].score)
    with table:
        pass
    assert "2 of 2 runs" in screen.file.getvalue()
    table.began(jobs[0])
    screen.print(table.render())
    assert "100%" in screen.file.getvalue()
    narrow = Console(file=StringIO(), force_terminal=True, width=44)
    folded = LiveTable(2, 0, narrow)
    folded.began(jobs[0])
    narrow.print(folded.render())
    assert "100%" in narrow.file.getvalue()  # names are folded, numbers are whole
    assert "…" not in narrow.file.getvalue()


def test_what_a_runner_refuses():
    with pytest.raises(UsageError, match="jobs=0"):
        new_runner("local", 0)
    with pytest.raises(UsageError, match="'cloud'"):
        new_runner("cloud")
    with pytest.raises(UsageError, match="Add --runner ray"):
        new_runner("local", 2, "127.0.0.1:6379")


def test_no_more_processes_are_started_than_there_are_runs():
    flags = Namespace(jobs=100, runner=None, ray_address=None)
    assert [runner_of(flags, calls).jobs for calls in (3, 1, 0)] == [3, 1, 1]


def test_the_command_line_says_what_has_no_effect(cli):
    words = ("train", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "100")
    for more, said in (
        (("--jobs", "2"), "for several runs"),
        (("--seed", "0", "1", "--ray-address", "auto"), "--ray-address has no effect"),
        (("--seed", "0", "1", "--jobs", "2", "-P"), "a table"),
    ):
        answer = cli(*words, *more)
        assert answer.returncode == 2
        assert said in answer.stderr
    answer = cli("figure", "cliff-walking", "--jobs", "2")
    assert (answer.returncode, "several figures" in answer.stderr) == (2, True)


@pytest.mark.slow
def test_a_grid_of_the_command_line_is_the_same_with_jobs_and_goes_on_after_ctrl_c(cli, tmp_path):
    words = ["train", "--algo", "q-learning", "sarsa", "--env", "FrozenLake-v1", "--seed", "0", "1", "-n", "30000000"]
    command = [sys.executable, "-m", "rlplay", *words, "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    until = time.monotonic() + 60
    while not list(tmp_path.glob("logs/*/*/progress.csv")) and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "Go on with:" in said
    answer = cli(*words, "--jobs", "2")
    assert answer.returncode == 0
    assert "going on: " in answer.stdout
    assert cli(*words, "-f", "alone").returncode == 0
    for algo in ("q-learning", "sarsa"):
        seeds = {}
        for folder in ("logs", "alone"):
            for run in Path(folder, algo).iterdir():
                seed = checkpoint.read(run / "FrozenLake-v1.rlp").manifest["seed"]
                seeds.setdefault(seed, []).append(run)
        assert [same_run(*runs) for runs in seeds.values()] == [True, True]


@pytest.mark.slow
def test_compare_and_figures_take_jobs(cli):
    words = ("--json", "--algo", "q-learning", "sarsa", "--env", "FrozenLake-v1", "--seed", "0", "1", "-n", "2000")
    alone, together = cli("compare", *words, "-f", "a"), cli("compare", *words, "-f", "b", "--jobs", "2")

    def table(answer):  # of the scores, but for seconds and speeds
        rows = json.loads(answer.stdout)["results"]
        return [{name: row[name] for name in row if name not in ("after seconds", "steps/s")} for row in rows]

    assert alone.returncode == together.returncode == 0
    assert table(alone) == table(together) != []
    answer = cli("figure", "cliff-walking", "random-walk", "--runs", "1", "--jobs", "2")
    assert answer.returncode == 0, answer.stderr
    assert len(list(Path("figures").glob("*.png"))) == 2


_CLUSTER = """
import json, sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster
from rlplay.runners.batch import Batch, Request
from rlplay.runners.make import new_runner

if __name__ == "__main__":
    asked, count, kill = json.loads(sys.argv[1])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
    other = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    runner = new_runner("ray", None, cluster.address)
    batch = Batch(Path("cluster"), [Request({**asked, "seed": seed}, {"alpha": 0.2}) for seed in range(count)])
    begun, lost = {}, []

    class Watcher:
        def began(self, job):
            begun[job.folder] = time.monotonic()

        def ended(self, job, outcome):
            assert not outcome.error, outcome
            print("ended", job.folder, outcome.seconds, flush=True)

    def kill_when_both_have_learned():
        while len(list(Path("cluster").glob("*/*/best_model.rlp"))) < 2:  # what the lost run goes on from
            time.sleep(0.05)
        cluster.remove_node(other, allow_graceful=False)
        print("killed", flush=True)

    if kill:
        threading.Thread(target=kill_when_both_have_learned, daemon=True).start()
    start = time.monotonic()
    with batch.held():
        batch.finish(runner, Watcher())
    print("seconds", time.monotonic() - start, runner.jobs, flush=True)
    runner.close()
    cluster.shutdown()
"""


@pytest.mark.slow
def test_a_node_that_is_killed_loses_no_run_and_changes_no_bit(tmp_path):
    pytest.importorskip("ray")
    asked, count = {**ASKED, "n_timesteps": 60_000_000, "eval_freq": 20_000_000}, 3
    (tmp_path / "cluster.py").write_text(_CLUSTER)
    words = [sys.executable, "cluster.py", json.dumps([asked, count, True])]
    answer = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
                            timeout=240, check=False)  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "killed" in answer.stdout
    assert answer.stdout.count("ended") == count
    alone = undisturbed(tmp_path / "alone", [Request({**asked, "seed": s}, {"alpha": 0.2}) for s in range(count)])
    found = {checkpoint.read(run / "FrozenLake-v1.rlp").manifest["seed"]: run for run in Path("cluster").glob("*/*_*")}
    assert [same_run(found[seed], run) for seed, run in enumerate(alone)] == [True] * count


def test_an_address_without_a_cluster_is_said_at_once():
    pytest.importorskip("ray")
    start = time.monotonic()
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999", "nowhere.invalid:6379"):
        with pytest.raises(UsageError, match=rf"no Ray cluster at {address}: .*"):
            new_runner("ray", None, address)
    assert time.monotonic() - start < 30.0  # Ray itself tries for minutes


def test_a_missing_ray_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    from rlplay.errors import MissingPackageError

    with pytest.raises(MissingPackageError, match=r"rlplay\[ray\]"):
        new_runner("ray")
