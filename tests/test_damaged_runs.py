"""Damaged run folders: one line says what is damaged and how to go on without it; never a traceback."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from rlplay import cli as command_line
from rlplay.cli.common import console

pytestmark = pytest.mark.filterwarnings("always::rlplay.errors.RlplayWarning")  # shown as lines, as in a command
LAKE = ("--algo", "q-learning", "--env", "FrozenLake-v1")
RUN = Path("logs/q-learning/FrozenLake-v1_1")
ARGS = "FrozenLake-v1/args.yml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 2,000 steps that stands at its 1,000th, as after a kill."""
    folder = tmp_path_factory.mktemp("finished")
    before = os.getcwd()
    os.chdir(folder)
    try:
        words = ["train", *LAKE, "-n", "2000", "--seed", "0", "--save-freq", "1000", "--no-progress"]
        assert command_line.main(words) == 0
    finally:
        os.chdir(before)
        console.cache_clear()
    run = folder / RUN
    (run / "rl_model_1000_steps.rlp").replace(run / "FrozenLake-v1.rlp")
    (run / "rl_model_2000_steps.rlp").unlink()
    return folder


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished / "logs", tmp_path / "logs")
    os.utime(tmp_path / RUN / "FrozenLake-v1.rlp")
    return tmp_path / RUN


def bytes_of(name: str, data: bytes):
    return lambda run: (run / name).write_bytes(data)


def cut(name: str, length: int):
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:length])


def arrays(**named: np.ndarray):
    return lambda run: np.savez(run / "evaluations.npz", **named)


def becomes_folder(name: str):
    def damage(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return damage


REFUSED = {
    "evaluations empty": (bytes_of("evaluations.npz", b""), "evaluations.npz is damaged"),
    "evaluations cut": (cut("evaluations.npz", 300), "evaluations.npz is damaged"),
    "evaluations cut at the end": (cut("evaluations.npz", -30), "evaluations.npz is damaged"),
    "evaluations no zip": (bytes_of("evaluations.npz", b"hello"), "evaluations.npz is damaged"),
    "evaluations a pickle": (bytes_of("evaluations.npz", b"\x80\x04N."), "evaluations.npz is damaged"),
    "evaluations a folder": (becomes_folder("evaluations.npz"), "evaluations.npz is damaged"),
    "evaluations without results": (arrays(timesteps=np.arange(3)), "evaluations.npz is damaged"),
    "evaluations of other shapes": (
        arrays(timesteps=np.arange(3), results=np.zeros((2, 5)), ep_lengths=np.zeros((3, 5), int)),
        "evaluations.npz is damaged",
    ),
    "evaluations of other episodes": (
        arrays(timesteps=np.arange(3), results=np.zeros((3, 7)), ep_lengths=np.zeros((3, 7), int)),
        "has evaluations of 7 episodes, not of 5",
    ),
    "monitor of Latin-1": (bytes_of("0.monitor.csv", b"r,l,t\n\xe4\xff\n"), "0.monitor.csv is damaged"),
    "monitor of zeros": (bytes_of("0.monitor.csv", b"r,l\n\0\0\n"), "0.monitor.csv is damaged"),
    "monitor another text": (bytes_of("0.monitor.csv", b"hello\nworld\n"), "0.monitor.csv is damaged"),
    "monitor a folder": (becomes_folder("0.monitor.csv"), "0.monitor.csv is damaged"),
    "progress of Latin-1": (bytes_of("progress.csv", b"a,b\n\xe4\xff\n"), "progress.csv is damaged"),
    "progress one long field": (bytes_of("progress.csv", b'"' + b"x" * 200_000 + b"\n"), "progress.csv is damaged"),
    "args gone": (lambda run: (run / ARGS).unlink(), "args.yml cannot be read"),
    "args empty": (bytes_of(ARGS, b""), "does not say what the run was asked for"),
    "args a list": (bytes_of(ARGS, b"[1, 2]"), "does not say what the run was asked for"),
    "args of Latin-1": (bytes_of(ARGS, b"\xff\xfe:"), "it is no YAML text"),
    "args with a tag": (bytes_of(ARGS, b"!!python/object/apply:os.system ['touch pwned']"), "it is no YAML text"),
    "args nested deep": (bytes_of(ARGS, b"[" * 5000), "it is no YAML text"),
    "args an impossible date": (bytes_of(ARGS, b"a: 2020-99-99"), "it is no YAML text"),
    "no checkpoint": (lambda run: (run / "FrozenLake-v1.rlp").unlink(), ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_damaged_is_said_with_a_way_on(name, run, rlplay):
    damage, words = REFUSED[name]
    damage(run)
    if name == "no checkpoint":
        (run / "best_model.rlp").unlink(missing_ok=True)
        words = "has no checkpoint that can be read"
    code, _, err = rlplay("train", "--resume", str(RUN))
    lines = err.strip().splitlines()
    assert (code, len(lines)) == (2 if "7 episodes" in words else 1, 2), err
    assert words in lines[0]
    assert not Path("pwned").exists()
    for word in ("evaluations.npz", "0.monitor.csv", "progress.csv"):
        if f"rm {RUN / word}" in lines[1]:  # the way on works
            shutil.rmtree(run / word) if (run / word).is_dir() else (run / word).unlink()
            assert rlplay("train", "--resume", str(RUN))[0] == 0


KEYS = (
    "algo", "env", "env_kwargs", "seed", "n_timesteps", "dynamics", "engine", "eval_freq", "eval_episodes",
    "save_freq", "keep", "log_interval", "tensorboard_log",
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_args_is_checked(key, run, rlplay):
    whole = yaml.safe_load((run / ARGS).read_text())
    assert set(whole) >= set(KEYS)
    for value in ("missing", [1], {1: 2}, 2.5, True, "", 0 if key in ("n_timesteps", "eval_episodes") else b"x"):
        changed = {k: v for k, v in whole.items() if k != key} if value == "missing" else {**whole, key: value}
        (run / ARGS).write_text(yaml.safe_dump(changed))
        code, _, err = rlplay("train", "--resume", str(RUN))
        assert code == 1, (value, err)
        assert f"it lacks {key}" in err if value == "missing" else f"{key} is" in err
        assert f"rlplay train -i {RUN} -n N" in err
        assert len(err.strip().splitlines()) == 2


def test_half_lines_and_a_missing_best_model_are_left_behind(run, rlplay):
    lines = (run / "0.monitor.csv").read_text().splitlines(keepends=True)
    (run / "0.monitor.csv").write_text("".join([*lines[:4], "1,2\n", *lines[4:]])[:-3])
    (run / "best_model.rlp").write_bytes(b"PK torn")
    code, _, err = rlplay("train", "--resume", str(RUN))
    assert code == 0
    assert "0.monitor.csv is damaged: 1 row left out" in err
    assert "best_model.rlp is missing or damaged: the best agent from here on is kept" in err
    assert len(err.strip().splitlines()) == 2
    assert rlplay("eval", str(RUN), "--load-best", "--eval-episodes", "1")[0] == 0
    (run / "best_model.rlp").unlink()
    code, _, err = rlplay("eval", str(RUN), "--load-best")
    assert code == 1
    assert "has no best_model.rlp" in err
    assert "Leave out --load-best" in err


def test_a_damaged_last_checkpoint_is_said(run, rlplay):
    shutil.copy(run / "FrozenLake-v1.rlp", run / "rl_model_1000_steps.rlp")
    (run / "FrozenLake-v1.rlp").write_bytes(b"PK torn")
    code, out, err = rlplay("train", "--resume", str(RUN))
    assert code == 0
    assert "FrozenLake-v1.rlp is missing or damaged: rl_model_1000_steps.rlp is taken" in err
    assert "resuming" in out


def test_resume_takes_the_engine_that_is_typed_and_refuses_what_it_would_ignore(run, rlplay):
    for words in (("-n", "9000"), ("-params", "alpha:0.5"), ("--seed", "3"), ("--algo", "sarsa"), ("--keep", "2")):
        code, _, err = rlplay("train", "--resume", str(RUN), *words)
        assert code == 2
        assert f"{words[0]} would change it" in err
    code, out, _ = rlplay("train", "--resume", str(RUN), "--engine", "python", "-n", "2000", "--seed", "0")
    assert code == 0
    assert "engine python" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--algo", "q-learning", "sarsa", "-params", "alpha:5"), "alpha=5"),
        (("--algo", "q-learning", "sarsa-lambda", "-params", "lambda_:0.5"), "lambda_"),
        (("--algo", "q-learning", "--seed", "0", "-1"), "seed=-1"),
        (("--algo", "q-learning", "value-iteration", "--env", "FrozenLake-v1", "CartPole-v1"), "needs finite"),
        (("--algo", "q-learning", "--engine", "compiled", "--dynamics", "gymnasium"), "no compiled dynamics"),
        (("--algo", "q-learning", "-conf", "n.yml"), "n_timesteps='many' is not a whole number"),
        (("--algo", "q-learning", "--watch"), "no display"),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_created(words, said, rlplay, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    Path("n.yml").write_text("default: {n_timesteps: many}")
    env = () if "--env" in words else ("--env", "FrozenLake-v1")
    code, _, err = rlplay("train", *words, *env, "-n" if "n.yml" not in words else "-f", "2000")
    assert code == 2, err
    assert said in err
    assert not Path("logs").exists()
    assert not Path("2000").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--resume", ""), "--resume: an empty text names nothing"),
        (("train", *LAKE, "-n", "1.5"), "'1.5' is not a whole number, for example 10000 or 1e4"),
        (("train", *LAKE, "-n", "nan"), "'nan' is not a whole number"),
        (("train", *LAKE, "--keep", "0"), "0 is not 1 or more"),
        (("eval", ""), "an empty text names nothing"),
        (("watch", "--fps", "0"), "'0' is not a number above 0"),
        (("demo", "--size", "abc"), "'abc' is not WIDTHxHEIGHT"),
        (("show", "k-means"), "rlplay models show k-means"),
        (("models", "show", "q-learning"), "rlplay show q-learning"),
        (("compare", *LAKE, "-o", "x.foo"), "pictures cannot be written as 'foo'"),
        (("figure", "cliff-walking", "-o", "x.foo"), "pictures cannot be written as 'foo'"),
        (("models", "compare", "k-means", "-o", "x.foo"), "pictures cannot be written as 'foo'"),
        (("play",), "or a saved agent or run"),
    ],
)
def test_flags_that_cannot_be_are_one_line(words, said, rlplay):
    code, out, err = rlplay(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 2


def test_a_number_of_timesteps_may_be_written_as_1e3(rlplay):
    code, out, _ = rlplay("train", *LAKE, "-n", "1e3", "--seed", "0")
    assert code == 0
    assert "1,000 steps" in out


def test_runs_are_listed_with_steps_return_and_date_and_lines_stay_whole(run, rlplay):
    _, out, _ = rlplay("list", "runs")
    (row,) = [line for line in out.splitlines() if "FrozenLake-v1_1" in line]
    assert "2,000" in row
    assert "best_model.rlp" in row  # on the same line, beyond 80 columns
    assert [word for word in row.split() if len(word) == 10 and word.count("-") == 2]  # the date
    (run / "progress.csv").write_bytes(b"\xff\xfe")
    (run / "evaluations.npz").write_bytes(b"")
    code, out, _ = rlplay("list", "runs")
    assert (code, " - " in out) == (0, True)


def test_colour_codes_of_others_are_left_out(capsys):
    command_line._shown.clear()
    command_line._show_warning("\x1b[33mWARN: it is out of date\x1b[0m", UserWarning, "f", 1)
    assert capsys.readouterr().err == "rlplay: warning: WARN: it is out of date\n"


def test_evaluation_in_other_spaces_is_refused_at_its_start():
    from agents import QLearning
    from rlplay import evaluate, make
    from rlplay.errors import SpaceError

    agent = QLearning("FrozenLake-v1", seed=0)
    for other in ("CliffWalking-v1", "CartPole-v1", "Taxi-v4"):
        with pytest.raises(SpaceError, match="the environment to evaluate in has"):
            evaluate(agent, make(other), 1)


def test_a_recording_without_a_window_shows_each_step_at_the_environments_rate(run, rlplay):
    from PIL import Image

    assert rlplay("watch", str(RUN), "--headless", "-o", "watch.gif", "--max-steps", "20")[0] == 0
    with Image.open("watch.gif") as gif:
        assert gif.n_frames >= 20
        assert gif.info["duration"] % 250 == 0  # 4 a second


def test_the_axis_of_a_comparison_leaves_out_what_was_cut(tmp_path):
    from rlplay.reports.curves import Curve, draw, value_range

    returns = np.array([[-10_000.0, -10_000.0, -17.0, -13.0]])
    curve = Curve("sarsa", np.arange(4), returns, np.ones(1), returns == -10_000)
    assert value_range([curve]) == (-17.0, -13.0)
    assert value_range([Curve("sarsa", np.arange(4), returns, np.ones(1))]) is None
    draw([curve], tmp_path / "picture.png", "CliffWalking-v1")
    assert (tmp_path / "picture.png").is_file()


def test_a_run_whose_folder_was_renamed_goes_on(cli, tmp_path):
    words = ("train", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "500", "--seed", "0", "--eval-freq", "-1")
    assert cli(*words).returncode == 0
    (tmp_path / "logs" / "q-learning" / "FrozenLake-v1_1").rename(tmp_path / "moved")
    done = cli("train", "--resume", "moved")
    assert done.returncode == 0, done.stderr
    assert "is complete" in done.stdout
