"""Tuning: the same trials however often a study is killed, the same score when a trial is repeated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rlplay import registry
from rlplay.cli.arguments import parser
from rlplay.cli.tune import plan_of
from rlplay.errors import NoRoomError, RlplayError, UnknownNameError, UsageError
from rlplay.hyperparameters.fields import checked, declared
from rlplay.hyperparameters.settings import read_zoo_file
from rlplay.runners.runner import OneByOne
from rlplay.tuning.spaces import Choices, Numbers, checked_space, read_space, space_of

optuna = pytest.importorskip("optuna")
from rlplay.tuning import study as studies  # noqa: E402
from rlplay.tuning.confirm import best_trials, confirm, write_settings  # noqa: E402
from rlplay.tuning.study import Place, Plan, check_plan, create, open_study, repeat, revive, search  # noqa: E402

ROOT = Path(__file__).parents[2]
ASKED = {
    "algo": "q-learning", "env": "FrozenLake-v1", "env_kwargs": {}, "n_timesteps": 2000, "gym_packages": [],
    "dynamics": "auto", "engine": "auto", "eval_freq": 2000, "eval_episodes": 10, "save_freq": None, "keep": None,
    "log_interval": None, "tensorboard_log": None,
}  # fmt: skip
PLAN = Plan(ASKED, {"gamma": 0.95}, {"alpha": Numbers(0.01, 1.0, log=True), "epsilon": Numbers(0.0, 0.3)}, [0, 1],
            ["iqm"])  # fmt: skip
AT_RUNGS = PLAN._replace(asked={**ASKED, "eval_freq": 500}, pruner="median")


def searched(folder, trials, plan=PLAN):
    create(Place(folder), plan)
    return list(search(Place(folder), trials, OneByOne()))


def told(folder):
    """What a study knows: parameters and values of each trial."""
    study, _ = open_study(Place(folder))
    return [(trial.state.name, trial.params, trial.values) for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("algo", [name for name in registry.agent_ids() if not name.startswith("sb3/")])
def test_each_agent_has_a_space_that_it_takes(algo):
    space = space_of(algo)
    if algo == "behavior-cloning":  # a model and a teacher
        with pytest.raises(UsageError, match="nothing to search by default"):
            checked_space(space, algo)
        return
    assert checked_space(space, algo) == space
    cls = registry.agent_class(algo)
    rng = np.random.default_rng(0)
    for name, dimension in space.items():
        default = declared(cls)[name].default
        if isinstance(dimension, Numbers):
            assert dimension.low <= default <= dimension.high or default == 0, (name, dimension)
            inside = float(rng.uniform(dimension.low, dimension.high))
            checked(cls, {name: round(inside) if dimension.integer else inside})


def test_spaces_come_from_the_declared_ranges():
    assert space_of("sarsa-lambda")["lambda_"] == Numbers(0.0, 1.0)
    assert space_of("dqn")["learning_rate"] == Numbers(1e-4 / 30, 1e-4 * 30, log=True)
    assert space_of("ppo")["n_steps"] == Choices((512, 1024, 2048, 4096))
    assert space_of("n-step-sarsa")["n_steps"] == Numbers(1, 8, integer=True)
    for algo, name in (("td3", "noise_std"), ("ppo", "recurrent_size"), ("ars", "n_jobs")):  # without effect
        assert name not in space_of(algo)


def test_a_space_is_read_from_yaml(tmp_path):
    path = tmp_path / "space.yml"
    path.write_text("q-learning:\n  alpha: {low: 0.01, high: 1, log: true}\n  features: [null, 'k-means:8']\n")
    assert read_space(str(path), "q-learning", "X") == {
        "alpha": Numbers(0.01, 1.0, log=True), "features": Choices((None, "k-means:8")),
    }  # fmt: skip
    for text, said in (
        ("alpah: [0.1]", "alpah"),
        ("alpha: [0.1, 2.0]", r"alpha=2.0 is not a number in \(0, 1\]"),
        ("alpha: {low: 1, high: 0.1}", "no dimension"),
        ("alpha: {low: 0, high: 1, log: true}", "no dimension"),
        ("alpha: 3", "no dimension"),
        ("- a", "names no hyperparameters"),
        ("a: !!python/object:os.system {}", "no plain YAML"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            read_space(str(path), "q-learning", "X")


def test_a_study_finds_the_same_again_and_its_best_trial_repeats_to_the_bit(tmp_path):
    outcomes = searched(tmp_path / "a", 6)
    searched(tmp_path / "b", 6)
    assert [outcome.number for outcome in outcomes] == [*range(6)]
    assert told(tmp_path / "a") == told(tmp_path / "b")
    best = best_trials(Place(tmp_path / "a"), 1)[0]
    assert repeat(PLAN, best.params, tmp_path / "again") == best.value
    assert best.value == max(outcome.values[0] for outcome in outcomes)


def test_a_trial_that_was_left_in_the_middle_goes_on_and_nothing_else_changes(tmp_path, monkeypatch):
    searched(tmp_path / "alone", 4, AT_RUNGS)
    create(Place(tmp_path / "cut"), AT_RUNGS)
    plain, calls = studies._Runs.learn_to, []

    def cut(self, number, timestep):
        calls.append(timestep)
        if len(calls) == 13:  # in the middle of the second trial
            raise KeyboardInterrupt
        return plain(self, number, timestep)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(studies._Runs, "learn_to", cut)
        list(search(Place(tmp_path / "cut"), 4, OneByOne()))
    assert [state for state, _, _ in told(tmp_path / "cut")] == ["COMPLETE", "RUNNING"]
    assert len(list(search(Place(tmp_path / "cut"), 4, OneByOne()))) == 3
    assert told(tmp_path / "cut") == told(tmp_path / "alone")


def test_two_tuners_work_on_one_study(tmp_path):
    create(Place(tmp_path), PLAN)
    one, two = (search(Place(tmp_path), 6, OneByOne()) for _ in range(2))
    numbers = [next(one).number, next(two).number, next(one).number, next(two).number]
    numbers += [outcome.number for outcome in one] + [outcome.number for outcome in two]
    assert sorted(numbers) == [*range(6)]


def test_another_study_of_the_name_is_refused(tmp_path):
    create(Place(tmp_path), PLAN)
    create(Place(tmp_path), PLAN)
    with pytest.raises(UsageError, match=r"made with epsilon in .* now in"):
        create(Place(tmp_path), PLAN._replace(space={**PLAN.space, "epsilon": Numbers(0.0, 0.5)}))
    with pytest.raises(UsageError, match=r"made with n_timesteps \d+, now 10\. "):
        create(Place(tmp_path), PLAN._replace(asked={**ASKED, "n_timesteps": 10, "eval_freq": 10}))
    with pytest.raises(UsageError, match=r"sampler tpe, now random; epsilon in .* now in no space"):
        create(Place(tmp_path), PLAN._replace(sampler="random", space={"alpha": PLAN.space["alpha"]}))
    with pytest.raises(UnknownNameError, match="unknown study"):
        open_study(Place(tmp_path / "none"))


def test_trials_that_are_kept_elsewhere_are_told_from_a_study_that_is_not_there(tmp_path):
    for name, file, said in (("lite", "plan.json", "Name it as the search did: --storage sqlite"),
                             ("many", "generations.jsonl", "many is a population, not a study")):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
        with pytest.raises(UsageError, match=said):
            open_study(Place(tmp_path / name))


def test_feature_maps_that_an_agent_needs_are_tried_before_the_first_trial():
    words = ["tune", "--algo", "q-learning", "--env", "CartPole-v1", "--features"]
    assert plan_of(parser().parse_args([*words, "k-means:8", "tile-coding:1"])).space["features"] == Choices(
        ("k-means:8", "tile-coding:1")
    )
    with pytest.raises(UsageError, match="needs finite observations"):
        plan_of(parser().parse_args([*words, "k-means:8", "none"]))


def test_what_a_plan_refuses():
    for changes, said in (
        ({"metrics": ["lenght"]}, "unknown metric 'lenght'"),
        ({"sampler": "grid"}, "unknown sampler"),
        ({"pruner": "hyperband"}, "unknown pruner"),
        ({"metrics": ["seconds"]}, "one score, or one and seconds"),
        ({"metrics": ["iqm", "seconds"], "pruner": "median"}, "two metrics"),
        ({"pruner": "wilcoxon", "seeds": [0]}, "seed by seed"),
    ):
        with pytest.raises(UsageError, match=said):
            check_plan(PLAN._replace(**changes))
    with pytest.raises(UsageError, match="--seeds 1 gives no interval"):
        confirm(Place(Path("none")), OneByOne(), Nobody(), seeds=1)


def test_trials_that_all_fail_end_the_study(tmp_path):
    plan = PLAN._replace(asked={**ASKED, "env": "CartPole-v1"})  # no table of it
    create(Place(tmp_path), plan)
    with pytest.raises(RlplayError, match=r"all of the first 3 trials failed: .*finite observations"):
        list(search(Place(tmp_path), 3, OneByOne()))
    assert [state for state, _, _ in told(tmp_path)] == ["FAIL"] * 3


def test_a_full_disk_ends_the_search_and_what_has_ended_is_kept(tmp_path, monkeypatch):
    searched(tmp_path, 2)
    before, journal = told(tmp_path), Place(tmp_path).journal.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(NoRoomError, match=r"no room .*journal.log. Make room"):
        patch.setattr("rlplay.tuning.journal.os.fsync", full)
        list(search(Place(tmp_path), 4, OneByOne()))
    assert Place(tmp_path).journal.read_bytes() == journal  # no half line, behind which others would write
    with open(Place(tmp_path).journal, "ab") as file:
        file.write(b'{"op_code":4,"wor')
    with monkeypatch.context() as patch, pytest.raises(NoRoomError, match="no room .*trial_2"):
        patch.setattr("rlplay.runners.job.RunFolder.write_settings", full)
        list(search(Place(tmp_path), 4, OneByOne()))
    list(search(Place(tmp_path), 3, OneByOne()))
    assert told(tmp_path)[:2] == before
    assert [state for state, _, _ in told(tmp_path)] == ["COMPLETE"] * 3  # the third was not to blame


def test_a_pruned_trial_is_revived_from_its_checkpoint(tmp_path, monkeypatch):
    class PruneTheSecond(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number == 1 and trial.last_step == 2

    monkeypatch.setattr(studies, "_pruner", lambda plan: PruneTheSecond())
    searched(tmp_path / "a", 3, AT_RUNGS)
    assert [state for state, _, _ in told(tmp_path / "a")] == ["COMPLETE", "PRUNED", "COMPLETE"]
    place, params = Place(tmp_path / "a"), told(tmp_path / "a")[1][1]
    checkpoint = tmp_path / "a" / "trial_1" / "FrozenLake-v1_0" / "FrozenLake-v1.rlp"
    from rlplay import load

    assert load(checkpoint).num_timesteps == 1000
    value = revive(place, 1)
    assert value == repeat(AT_RUNGS, params, tmp_path / "again")
    assert told(tmp_path / "a")[3] == ("COMPLETE", params, [value])
    with pytest.raises(UsageError, match="was not pruned"):
        revive(place, 0)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["halving", "wilcoxon"])
def test_pruners_end_bad_trials_early(tmp_path, pruner):
    asked = {**ASKED, "env": "CliffWalking-v1", "n_timesteps": 20_000, "eval_freq": 5000, "eval_episodes": 2}
    seeds = [*range(5)] if pruner == "wilcoxon" else [0]
    plan = AT_RUNGS._replace(asked=asked, pruner=pruner, seeds=seeds, space={"alpha": Choices((0.3, 1e-6))}, seed=3)
    states = [state for state, _, _ in (searched(tmp_path, 12, plan), told(tmp_path))[1]]
    assert "PRUNED" in states
    assert "COMPLETE" in states


@pytest.mark.slow
@pytest.mark.parametrize("storage", [(), ("--storage", "sqlite:///study.db")], ids=["journal", "sqlite"])
def test_two_processes_tune_at_once_and_each_trial_is_done_once(storage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["tune", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "200000", "--trials", "12", *storage]
    tuners = [
        subprocess.Popen([sys.executable, "-m", "rlplay", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        for _ in range(2)
    ]  # fmt: skip
    said = [tuner.communicate(timeout=240) for tuner in tuners]
    assert [tuner.returncode for tuner in tuners] == [0, 0], said
    mine, other = ({int(line.split()[1][:-1]) for line in out.splitlines() if line.startswith("trial ")
                    and line.split()[1][:-1].isdigit()} for out, _ in said)  # fmt: skip
    study, _ = open_study(Place(Path("logs/tune/q-learning-FrozenLake-v1"), storage[1] if storage else None))
    assert (mine & other, mine | other) == (set(), {*range(len(study.trials))})
    assert 12 <= len(study.trials) <= 13  # both may begin the last one
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    assert mine
    assert other


@pytest.mark.slow
def test_score_and_seconds(tmp_path):
    searched(tmp_path, 3, PLAN._replace(metrics=["iqm", "seconds"]))
    assert all(len(values) == 2 and values[1] > 0 for _, _, values in told(tmp_path))


@pytest.mark.slow
def test_sqlite_holds_a_study(tmp_path):
    place = Place(tmp_path / "study", f"sqlite:///{tmp_path}/study.db")
    create(place, PLAN)
    assert len(list(search(place, 2, OneByOne()))) == 2
    assert len(open_study(place)[0].trials) == 2
    with pytest.raises(UsageError, match="cannot be opened"):
        create(Place(tmp_path / "x", "nosuchdb://x"), PLAN)


@pytest.mark.slow
def test_features_and_models_are_searched_too(tmp_path):
    plan = PLAN._replace(
        asked={**ASKED, "env": "CartPole-v1", "n_timesteps": 500, "eval_freq": 500}, fixed={}, seeds=[0],
        space={"features": Choices(("rbf-grid:2", "tile-coding:4")), "alpha": Numbers(0.01, 0.1)}, sampler="random",
    )  # fmt: skip
    plan = plan._replace(asked={**plan.asked, "algo": "linear-q-learning"})
    told_of = {text for outcome in searched(tmp_path, 4, plan) for text in outcome.warnings}
    assert any("learned nothing" in text for text in told_of)  # the maps are fitted after 2,000 steps
    assert {params["features"] for _, params, _ in told(tmp_path)} == {"rbf-grid:2", "tile-coding:4"}
    assert {state for state, _, _ in told(tmp_path)} == {"COMPLETE"}


class Nobody:
    def began(self, job):
        pass

    def ended(self, job, outcome):
        pass


@pytest.mark.slow
def test_confirmation_writes_settings_with_evidence(tmp_path):
    searched(tmp_path / "study", 4)
    place = Place(tmp_path / "study")
    found = confirm(place, OneByOne(), Nobody(), trials=2, seeds=3)
    assert [one.returns.shape for one in found] == [(3, 10), (3, 10)]
    assert found[0].iqm >= found[1].iqm
    low, high = found[0].interval
    assert low <= found[0].iqm <= high
    path = write_settings(place, found)
    settings = read_zoo_file(str(path), "FrozenLake-v1")
    assert settings == {"n_timesteps": 2000, "gamma": 0.95, **found[0].params}
    assert f"trial {found[0].number}: {found[0].iqm:.6g} [{low:.6g}, {high:.6g}]" in path.read_text()


@pytest.mark.slow
def test_pictures_of_a_study(tmp_path):
    from PIL import Image

    from rlplay.tuning.pictures import draw_all

    searched(tmp_path, 6)
    drawn = draw_all(Place(tmp_path))
    assert {path.name for path in drawn} >= {"history.png", "slice.png"}
    assert all(len(Image.open(path).convert("L").getcolors(256)) > 10 for path in drawn)


@pytest.mark.slow
def test_the_command_line_searches_goes_on_and_repeats(cli):
    words = ("tune", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "2000")
    answer = cli(*words, "--trials", "3")
    assert answer.returncode == 0, answer.stderr
    assert "3 trials in" in answer.stdout
    answer = cli(*words, "--trials", "4")
    assert "going on: 3 of 4 trials done" in answer.stdout
    answer = cli("tune", "repeat")
    assert (answer.returncode, "the same bits" in answer.stdout) == (0, True)
    for more, said in (
        (("--metric", "lenght"), "unknown metric 'lenght'"),
        (("--trial", "3"), "--trial has no effect"),
        (("--sampler", "random"), "made with sampler tpe, now random"),
    ):
        answer = cli(*words, *more)
        assert (answer.returncode, said in answer.stderr) == (2, True), answer.stderr
    assert "unknown study 'none'" in cli("tune", "repeat", "--study", "none").stderr


def test_a_missing_optuna_names_its_extra(monkeypatch):
    from rlplay.errors import MissingPackageError

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPackageError, match=r"rlplay\[tune\]"):
        studies.require_optuna()


_LOG = {"op_code": 0, "worker_id": "one", "study_name": "one", "directions": [1]}


def test_the_lock_of_a_killed_process_is_waited_for_only_a_while(tmp_path, monkeypatch):
    """The path of a study may be relative, of which Optuna's lock, a link, leads nowhere."""
    optuna = pytest.importorskip("optuna")
    from rlplay.tuning import journal

    monkeypatch.setattr(journal, "_LOCK_PATIENCE", 3)
    (tmp_path / "study").mkdir()
    journal.journal_storage("study/journal.log", optuna)._backend.append_logs([_LOG])
    for target in (tmp_path / "study/journal.log", Path("study/journal.log")):  # of a process that was killed
        (tmp_path / "study/journal.log.lock").symlink_to(target)
        journal.journal_storage("study/journal.log", optuna)._backend.append_logs([_LOG])
    assert len((tmp_path / "study/journal.log").read_text().splitlines()) == 3


_KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from rlplay.runners.runner import OneByOne
from rlplay.tuning.confirm import best_trials
from rlplay.tuning.study import Place, create, open_study, repeat, search
from tests.rlplay.test_tuning import PLAN, told

if __name__ == "__main__":
    plan = PLAN._replace(asked={**PLAN.asked, "n_timesteps": 100_000, "eval_freq": 100_000})
    place, rng, known, kills = Place(Path("study")), random.Random(0), {}, 0
    create(place, plan)
    while kills < 20:
        child = os.fork()
        if child == 0:
            list(search(place, 10_000, OneByOne()))
            os._exit(1)
        time.sleep(0.2 + 2.0 * rng.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        now = {number: row for number, row in enumerate(told(place.folder)) if row[0] == "COMPLETE"}
        assert all(now.get(number) == row for number, row in known.items()), (known, now)
        known = now
    assert known
    list(search(place, len(told(place.folder)) + 2, OneByOne()))
    rows = told(place.folder)
    assert all(rows[number] == row for number, row in known.items())
    assert {state for state, _, _ in rows} <= {"COMPLETE", "FAIL"}, rows
    best = best_trials(place, 1)[0]
    assert repeat(plan, best.params, Path("again")) == best.value
    print(kills, "kills,", len(known), "trials had ended, none is lost")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_study_killed_20_times_at_random_loses_no_finished_trial(tmp_path):
    (tmp_path / "killed.py").write_text(_KILLED)
    answer = subprocess.run([sys.executable, "killed.py"], capture_output=True, text=True, timeout=500, check=False,
                            env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "20 kills" in answer.stdout
