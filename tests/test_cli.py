"""The command line as a user meets it: real processes, real files."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from rlplay import load
from rlplay.testing import differences

LAKE = ("--algo", "q-learning", "--env", "FrozenLake-v1")

COIN = """
import gymnasium as gym
class Walk(gym.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    def __init__(self, length=7, render_mode=None, slow=0.0):
        self.length, self.render_mode, self.slow = length, render_mode, slow
        self.observation_space = gym.spaces.Discrete(length)
        self.action_space = gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s = self.length // 2
        return self.s, {}
    def step(self, action):
        if self.slow:
            import time; time.sleep(self.slow)
        self.s += 1 if action else -1
        end = self.s in (0, self.length - 1)
        return self.s, float(self.s == self.length - 1), end, False, {}
    def render(self):
        import numpy as np
        return np.full((20, 20 * self.length, 3), 200, np.uint8)
class Dice(Walk):
    def step(self, action):
        import random
        return super().step(random.random() < 0.5)
class Broken(Walk):
    count = 0
    def step(self, action):
        Broken.count += 1
        if Broken.count == 560:  # 60 steps are taken before training, to see whether it replays
            raise ZeroDivisionError("in the user's code")
        return super().step(action)
"""


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_train_eval_watch(cli, tmp_path):
    out = ok(cli("train", *LAKE, "-n", "50000", "--seed", "0", "--eval-freq", "20000"))
    assert "engine compiled, dynamics native, the same numbers as Gymnasium's" in out
    run = tmp_path / "logs" / "q-learning" / "FrozenLake-v1_1"
    assert {p.name for p in run.iterdir()} == {
        ".lock", "0.monitor.csv", "best_model.rlp", "evaluations.npz", "FrozenLake-v1.rlp", "FrozenLake-v1",
        "progress.csv",
    }  # fmt: skip
    assert (run / "FrozenLake-v1" / "command.txt").read_text() == (
        "rlplay train --algo q-learning --env FrozenLake-v1 -n 50000 --seed 0 --eval-freq 20000\n"
    )
    assert yaml.safe_load((run / "FrozenLake-v1" / "config.yml").read_text())["alpha"] == 0.1
    with np.load(run / "evaluations.npz") as saved:
        assert saved["timesteps"].tolist() == [20_000, 40_000]
    with open(run / "0.monitor.csv") as file:
        assert json.loads(file.readline()[1:])["env_id"] == "FrozenLake-v1"
        rows = list(csv.DictReader(file))
    assert [int(row["episode"]) for row in rows] == list(range(len(rows)))
    assert sum(int(row["l"]) for row in rows) == int(rows[-1]["step"])
    assert "greedy" in ok(cli("eval", "--eval-episodes", "5"))
    assert "20" in ok(cli("eval", *LAKE, "--load-best", "--stochastic"))
    assert "wrote watch.gif" in ok(cli("watch", str(run), "--headless", "-o", "watch.gif", "--max-steps", "5"))
    assert "FrozenLake-v1_1" in ok(cli("list", "runs"))


def test_a_headless_window_is_quiet(cli):
    assert cli("train", *LAKE, "-n", "100", "--seed", "0", "--eval-freq", "-1").returncode == 0
    assert cli("watch", "--headless", "-o", "w.png", "--max-steps", "3").stderr == ""


def test_sb3_reads_our_monitor_files(cli, tmp_path):
    pytest.importorskip("pandas")
    from stable_baselines3.common.results_plotter import load_results

    ok(cli("train", *LAKE, "-n", "2000", "--seed", "0"))
    frame = load_results(str(tmp_path / "logs" / "q-learning" / "FrozenLake-v1_1"))
    assert {"r", "l", "t"} <= set(frame.columns)


def test_the_same_command_as_a_module_and_a_script(cli, tmp_path):
    ok(cli("train", *LAKE, "-n", "3000", "--seed", "1"))
    script = Path(sys.executable).parent / "rlplay"
    subprocess.run([script, "train", *LAKE, "-n", "3000", "--seed", "1"], check=True, cwd=tmp_path, capture_output=True)
    logs = tmp_path / "logs" / "q-learning"
    assert not differences(load(logs / "FrozenLake-v1_1/FrozenLake-v1"), load(logs / "FrozenLake-v1_2/FrozenLake-v1"))


def test_grids_hyperparameters_and_env_kwargs(cli, tmp_path):
    words = ("--algo", "sarsa", "q-learning", "--env", "rlplay/GridWorld-v0", "--env-kwargs", "map:cliff", "-n", "2000")
    ok(cli("train", *words, "--seed", "0", "1", "-params", "alpha:0.5", "gamma:1", "epsilon:lin_1_0.1"))
    for algo in ("sarsa", "q-learning"):
        for number, seed in ((1, 0), (2, 1)):
            agent = load(tmp_path / f"logs/{algo}/rlplay-GridWorld-v0_{number}/rlplay-GridWorld-v0.rlp")
            assert (agent.id, agent.seed, agent.observation_space.n) == (algo, seed, 48)
            assert agent.hyperparameters["epsilon"] == "lin_1_0.1"


def test_zoo_files(cli, tmp_path):
    (tmp_path / "q.yml").write_text(
        "default: &base\n  n_timesteps: !!float 3e3\n  alpha: 0.3\nFrozenLake-v1:\n  <<: *base\n  gamma: 0.9\n"
    )
    ok(cli("train", *LAKE, "-conf", "q.yml", "--seed", "0"))
    agent = load(tmp_path / "logs/q-learning/FrozenLake-v1_1/FrozenLake-v1")
    assert agent.num_timesteps == 3000
    assert agent.hyperparameters["gamma"] == 0.9
    assert agent.hyperparameters["alpha"] == 0.3
    for text, words in (
        ("FrozenLake-v1:\n  policy: MlpPolicy\n", "unknown hyperparameter of QLearning 'policy'"),
        ("FrozenLake-v1:\n  alpha: \"dict(a=__import__('os'))\"\n", "not evaluated"),
        ("FrozenLake-v1: !!python/object/apply:os.system ['touch pwned']\n", "not plain YAML"),
        ("CartPole-v1:\n  alpha: 1\n", "unknown environment in q.yml"),
    ):
        (tmp_path / "q.yml").write_text(text)
        done = cli("train", *LAKE, "-conf", "q.yml")
        assert done.returncode == 2
        assert words in done.stderr
    assert not (tmp_path / "pwned").exists()


def start(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rlplay", "train", *words]
    return subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(condition) -> None:
    """Wait for an event, as long as a busy machine may need."""
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "sign", [signal.SIGKILL, *(pytest.param(s, marks=pytest.mark.slow) for s in (signal.SIGINT, signal.SIGTERM))]
)
def test_killed_and_resumed_ends_in_the_same_table(cli, tmp_path, sign):
    (tmp_path / "walks.py").write_text(COIN)
    words = ("--algo", "sarsa", "--env", "walks:Walk", "--env-kwargs", "slow:0.0004", "-n", "6000", "--seed", "3")
    words = (
        *words,
        "--save-freq",
        "500",
        "--eval-freq",
        "2000",
        "--eval-episodes",
        "1",
        "-params",
        "epsilon:lin_1_0.1",
    )
    ok(cli("train", *words, "-f", "straight"))
    run = tmp_path / "killed" / "sarsa" / "walks-Walk_1"
    with start(tmp_path, *words, "-f", "killed") as process:
        try:
            wait_for((run / "rl_model_1500_steps.rlp").exists)
            process.send_signal(sign)
            out, _ = process.communicate(timeout=300)
        finally:
            process.kill()
    if sign != signal.SIGKILL:
        assert process.returncode == 130
        assert f"rlplay train --resume {run.relative_to(tmp_path)} --env walks:Walk" in out
    refused = cli("train", "--resume", str(run))
    assert refused.returncode == 2
    assert "--env walks:Walk" in refused.stderr
    if sign == signal.SIGKILL:  # and a torn last file: the newest that verifies is taken
        (run / "walks-Walk.rlp").write_bytes(b"PK torn")
    resumed = ok(cli("train", "--resume", str(run), "--env", "walks:Walk"))
    assert int(re.search(r"resuming .* at ([\d,]+) of", resumed)[1].replace(",", "")) >= 1500
    straight = tmp_path / "straight" / "sarsa" / "walks-Walk_1"
    from_class = __import__("agents").Sarsa
    ends = [from_class.load(folder / "walks-Walk.rlp") for folder in (straight, run)]
    assert not differences(*ends)
    for name, columns in (("0.monitor.csv", ("r", "l", "episode", "step")), ("progress.csv", ("rollout/ep_rew_mean",))):
        tables = []
        for folder in (straight, run):
            with open(folder / name) as file:
                rows = csv.DictReader(line for line in file if not line.startswith("#"))
                tables.append([[row[c] for c in columns] for row in rows])
        assert tables[0] == tables[1]
    with np.load(straight / "evaluations.npz") as a, np.load(run / "evaluations.npz") as b:
        assert all((a[k] == b[k]).all() for k in ("timesteps", "results", "ep_lengths"))
    assert "is complete" in ok(cli("train", "--resume", str(run), "--env", "walks:Walk"))


def test_going_on_with_a_file_adds_timesteps(cli, tmp_path):
    ok(cli("train", *LAKE, "-n", "3000", "--seed", "0"))
    first = tmp_path / "logs/q-learning/FrozenLake-v1_1/FrozenLake-v1.rlp"
    ok(cli("train", "-i", str(first), "-n", "2000"))
    assert load(tmp_path / "logs/q-learning/FrozenLake-v1_2/FrozenLake-v1").num_timesteps == 5000
    assert "-n 0 is not 1 or more" in cli("train", "-i", str(first), "-n", "0").stderr


def test_an_environment_typed_again_keeps_its_arguments(cli, tmp_path):
    (tmp_path / "walks.py").write_text(COIN)
    typed = ("--env", "walks:Walk")
    ok(cli("train", "--algo", "sarsa", *typed, "--env-kwargs", "length:11", "-n", "500", "--seed", "0"))
    run = "logs/sarsa/walks-Walk_1"
    for words in (("eval", run), ("eval",), ("train", "-i", run, "-n", "100")):
        assert "(length=11)" in ok(cli(*words, *typed))
    done = cli("eval", run, *typed, "--env-kwargs", "length:9")
    assert done.returncode == 2
    assert "Discrete(11)" in done.stderr
    assert "Discrete(9)" in done.stderr


def test_a_run_is_written_by_one_process(cli, tmp_path):
    (tmp_path / "walks.py").write_text(COIN)
    process = start(
        tmp_path, "--algo", "sarsa", "--env", "walks:Walk", "--env-kwargs", "slow:0.01", "-n", "9000", "--seed", "3"
    )
    run = tmp_path / "logs/sarsa/walks-Walk_1"
    wait_for((run / "walks-Walk.rlp").exists)
    done = cli("train", "--resume", str(run), "--env", "walks:Walk")
    process.kill()
    process.communicate()
    assert done.returncode == 1
    assert "another process" in done.stderr


def test_an_environment_that_raises_keeps_a_checkpoint_and_its_traceback(cli, tmp_path):
    (tmp_path / "walks.py").write_text(COIN)
    done = cli(
        "train", "--algo", "q-learning", "--env", "walks:Broken", "-n", "5000", "--seed", "0", "--eval-freq", "-1"
    )
    assert done.returncode == 1
    assert "in the user's code" in done.stderr
    assert 'walks.py", line' in done.stderr
    assert "rlplay: walks:Broken raised ZeroDivisionError" in done.stderr
    from agents import QLearning

    assert QLearning.load(tmp_path / "logs/q-learning/walks-Broken_1/walks-Broken").num_timesteps == 499


def test_unseeded_randomness_is_said_before_training(cli, tmp_path):
    (tmp_path / "walks.py").write_text(COIN)
    words = ("train", "--algo", "sarsa", "-n", "500", "--seed", "0", "--env")
    assert "its seed does not set: resume will not be exact" in cli(*words, "walks:Dice").stderr
    assert "does not set" not in cli(*words, "walks:Walk").stderr


def test_episodes_replay_from_files(cli, tmp_path):
    from rlplay import make
    from rlplay.viewer.recording import save_episodes
    from rlplay.viewer.session import Session

    session = Session(make("Taxi-v4", render_mode="rgb_array"), None, "play", seed=1)
    for _ in range(15):
        session.pending = int(session.masks.joint_of(session.position.info).argmax()) if session.position.obs else 0
        session.step()
    save_episodes(session.demonstrations.episodes, tmp_path / "taxi.json", session)
    assert "replays exactly: 15 steps" in ok(cli("replay", "taxi.json", "--check"))
    assert "wrote taxi.gif" in ok(cli("replay", "taxi.json", "--headless", "-o", "taxi.gif"))
    data = json.loads((tmp_path / "taxi.json").read_text())
    data["env"]["id"] = "antigravity:Env"
    (tmp_path / "evil.json").write_text(json.dumps(data))
    done = cli("replay", "evil.json", "--check")
    assert done.returncode == 2
    assert "a file may not import" in done.stderr
    data["env"]["id"], data["seed"] = "Taxi-v4", 12345
    (tmp_path / "other.json").write_text(json.dumps(data))
    done = cli("replay", "other.json", "--check")
    assert done.returncode == 1
    assert "differs" in done.stderr


def test_list_and_show(cli):
    out = ok(cli("list"))
    assert "Q-learning: learn the value of the best policy" in " ".join(out.split())
    assert "rlplay/GridWorld-v0" in out
    assert "LunarLander-v3" in ok(cli("list", "envs", "--all"))
    page = ok(cli("show", "q-learning"))
    for words in ("Q(S, A) ← Q(S, A) + α", "Sutton & Barto", "gamma", "[0, 1]", "q_learning.py"):
        assert words in page
    assert "def update(" in ok(cli("show", "q-learning", "--source"))
    assert "[n, episode]" in ok(cli("show", "dqn"))
    assert "native, the same numbers as Gymnasium's" in ok(cli("show", "FrozenLake-v1"))


def test_demo_without_a_display_says_so_and_writes_a_gif(cli, tmp_path):
    out = ok(cli("demo"))
    assert "There is no display" in out
    assert "greedy: return -20, 20.0 steps" in out
    assert "what to try next" in out
    assert (tmp_path / "rlplay-demo.gif").stat().st_size > 100_000


NINE_ARMS = """
from gymnasium.spaces import Box
from gymnasium.envs.classic_control import PendulumEnv
class NineArms(PendulumEnv):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.action_space = Box(-1, 1, (9,))
"""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("tran",), 2, "Did you mean train"),
        (("train", "--algo", "q-lerning", "--env", "FrozenLake-v1"), 2, "Did you mean q-learning"),
        (("train", "--algo", "q-learning", "--env", "FrozenLak-v1"), 2, "Did you mean FrozenLake-v1"),
        (("train", "--algo", "q-learning"), 2, "needs --algo and --env"),
        (("train", *LAKE, "-n", "0"), 2, "-n 0 is not 1 or more"),
        (("train", "-i", "nothing.rlp"), 2, "no checkpoint file"),
        (("train", *LAKE, "-params", "gamma:5"), 2, "gamma=5 is not a number in [0, 1]"),
        (("train", *LAKE, "-params", "gama:0.5"), 2, "Did you mean gamma"),
        (("train", *LAKE, "-params", "gamma"), 2, "is not key:value"),
        (("train", *LAKE, "--seed", "-1"), 2, "seed=-1"),
        (("train", *LAKE, "--engine", "compiled", "--dynamics", "gymnasium"), 2, "no compiled dynamics"),
        (("train", "--algo", "q-learning", "--env", "CartPole-v1"), 2, "needs finite observations"),
        (("train", "--resume", "nowhere"), 1, "is no run that can be resumed"),
        (("watch",), 2, "Train one first"),
        (("watch", "nothing.rlp"), 2, "no checkpoint file"),
        (("eval", "/dev/null"), 1, "device"),
        (("replay", "nothing.json"), 2, "no episode file"),
        (("show", "q-lerning"), 2, "Did you mean q-learning"),
        (
            ("play", "--env", "nine_arms:NineArms"),
            2,
            "Keys exist for up to 20 single actions, and for pushes along eight",
        ),
    ],
)
def test_bad_input_in_two_lines(cli, tmp_path, words, code, said):
    (tmp_path / "nine_arms.py").write_text(NINE_ARMS)
    done = cli(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_no_display_for_a_window(cli):
    ok(cli("train", *LAKE, "-n", "1000"))
    done = cli("watch")
    assert done.returncode == 2
    assert "no display" in done.stderr


def test_debug_shows_the_traceback(cli):
    assert "Traceback" in cli("train", "--algo", "x", "--env", "y", "--debug").stderr


def test_odd_surroundings(cli, tmp_path):
    ok(cli("list", LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii:replace"))
    folder = "a folder with späces"
    ok(cli("train", *LAKE, "-n", "1000", "-f", folder))
    assert (tmp_path / folder / "q-learning" / "FrozenLake-v1_1").is_dir()
    (tmp_path / "file").write_text("")
    done = cli("train", *LAKE, "-n", "1000", "-f", "file/logs")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    reader = subprocess.run(
        f"'{sys.executable}' -m rlplay list envs --all | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert reader.stderr == ""


def test_without_home(cli, tmp_path):
    clean = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "DISPLAY")}
    command = [sys.executable, "-m", "rlplay", "train", *LAKE, "-n", "1000"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_help_text_is_shown_whole():
    import argparse

    from rlplay.cli.arguments import parser

    (verbs,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    for name, verb in verbs.choices.items():
        shown = "".join(verb.format_help().split())
        for action in verb._actions:
            if action.help and action.help != argparse.SUPPRESS:
                assert "".join((action.help % {"default": action.default}).split()) in shown, (name, action.help)


def test_tensorboard(cli, tmp_path):
    pytest.importorskip("tensorboard")
    ok(cli("train", *LAKE, "-n", "20000", "-tb", "tb"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tb" / "q-learning-FrozenLake-v1_1"))
    events.Reload()
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "eval/mean_reward", "time/fps"} <= set(
        events.Tags()["scalars"]
    )
    assert events.Scalars("rollout/ep_rew_mean")[-1].step == 20_000


def kill_and_resume(cli, tmp_path, *words, steps):
    """A run that is killed and resumed ends in the bits of one that was left alone."""
    straight = cli("train", *words, "-n", str(steps), "--seed", "3", "--eval-freq", "-1", "-f", "straight")
    assert straight.returncode == 0, straight.stderr
    command = [sys.executable, "-m", "rlplay", "train", *words, "-n", str(steps), "--seed", "3", "--eval-freq", "-1"]
    with subprocess.Popen([*command, "--save-freq", str(steps // 10)], cwd=tmp_path, stdout=subprocess.DEVNULL) as run:
        try:
            wait_for(lambda: any(tmp_path.glob("logs/*/*/rl_model_*_steps.rlp")))
        finally:
            run.kill()
    saved = next(tmp_path.glob("logs/*/*/rl_model_*_steps.rlp"))
    resumed = cli("train", "--resume", str(saved.parent))
    assert resumed.returncode == 0, resumed.stderr
    last = [next(tmp_path.glob(f"{folder}/*/*_1/C*.rlp")) for folder in ("straight", "logs")]
    assert not differences(*(load(path) for path in last))


def test_k_means_in_q_learning_survives_a_kill(cli, tmp_path):
    words = ("--algo", "q-learning", "--env", "CartPole-v1", "--features", "k-means:16,refit_every=2000")
    kill_and_resume(cli, tmp_path, *words, "--engine", "python", steps=20_000)


def test_stable_baselines3_survives_a_kill(cli, tmp_path):
    words = ("--algo", "sb3/ppo", "--env", "CartPole-v1", "-params", "n_steps:64", "n_envs:2")
    kill_and_resume(cli, tmp_path, *words, steps=2000)


def test_a_replay_buffer_survives_a_kill(cli, tmp_path):
    """It has wrapped, and steps are drawn by priority."""
    words = ("--algo", "dqn", "--env", "CartPole-v1", "-params", "prioritized:True", "n_steps:3", "buffer_size:1000",
             "learning_starts:100", "net_arch:[32]", "target_update_interval:100", "n_envs:2")  # fmt: skip
    kill_and_resume(cli, tmp_path, *words, steps=8000)


@pytest.mark.slow  # as k-means above
def test_fitted_q_survives_a_kill(cli, tmp_path):
    words = ("--algo", "fitted-q", "--env", "CartPole-v1", "--model", "extra-trees:n_estimators=5")
    kill_and_resume(cli, tmp_path, *words, "-params", "train_freq:1000", "n_iterations:4", steps=3000)


def test_compare_prints_a_table_and_draws_a_picture(cli, tmp_path):
    from PIL import Image

    done = cli("compare", "--algo", "linear-sarsa", "q-learning", "--env", "CartPole-v1", "--seed", "0", "1",
               "--features", "k-means:8", "-params", "alpha:0.01", "-n", "4000", "--eval-freq", "1000")  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = done.stdout.partition("whole curve")[2].partition("Returns of greedy")[0]
    assert {row.split()[0] for row in table.splitlines()[1:]} == {"linear-sarsa", "q-learning"}
    with Image.open(tmp_path / "compare-CartPole-v1.png") as picture:
        assert picture.size == (1190, 700)
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colours = {tuple(pixel) for pixel in np.unique(pixels, axis=0).tolist()}
    assert {(0, 114, 178), (213, 94, 0)} <= colours  # a line for each agent
    with np.load(tmp_path / "logs/linear-sarsa/CartPole-v1_1/evaluations.npz") as saved:
        assert saved["timesteps"].tolist() == [1000, 2000, 3000, 4000]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--algo", "sb3/ppoo", "--env", "CartPole-v1"), "unknown agent 'sb3/ppoo' Did you mean sb3/ppo"),
        (("--algo", "sb3/sac", "--env", "CartPole-v1"), "SAC needs Box actions and Discrete(2) is not"),
        (("--algo", "q-learning", "--env", "CartPole-v1"), "QLearning needs finite observations"),
        (
            ("--algo", "q-learning", "--env", "CartPole-v1", "--features", "pca:2"),
            "has no predict to number its states",
        ),
        (("--algo", "fitted-q", "--env", "CartPole-v1", "--model", "k-means:3"), "KMeans is a clusterer"),
        (("--algo", "reinforce", "--env", "CartPole-v1", "--model", "extra-trees"), "reinforce takes no --model"),
    ],
)
def test_models_and_agents_that_do_not_fit_are_named(cli, words, said):
    done = cli("train", *words, "-n", "100")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_figures_from_the_command_line(cli, tmp_path):
    assert "cliff-walking" in ok(cli("figure"))
    said = ok(cli("figure", "cliff-walking", "--runs", "2", "-o", "cliff.png"))
    assert "Expected" in said
    assert "picture:  cliff.png" in said
    assert (tmp_path / "cliff.png").read_bytes().startswith(b"\x89PNG")
    done = cli("figure", "cliff-walking", "gambler", "-o", "one.png")
    assert done.returncode == 2
    assert "one file for 2 figures" in done.stderr
    done = cli("figure", "clif-walking")
    assert done.returncode == 2
    assert "cliff-walking" in done.stderr


def test_learning_in_lock_step(cli, tmp_path):
    words = (
        "train",
        "--env",
        "FrozenLake-v1",
        "-n",
        "200",
        "--lock-step",
        "--headless",
        "-o",
        "steps.png",
        "--seed",
        "0",
    )
    assert "20 sweeps, saved" in ok(cli(*words, "--algo", "policy-iteration", "--max-steps", "20"))
    assert (tmp_path / "steps.png").is_file()
    assert "50 steps, saved" in ok(cli(*words, "--algo", "sarsa-lambda", "--max-steps", "50"))
    from agents import SarsaLambda
    from rlplay import make
    from rlplay.testing import differences

    agent = SarsaLambda.load(tmp_path / "logs/sarsa-lambda/FrozenLake-v1_1/FrozenLake-v1.rlp")
    plain = SarsaLambda(make("FrozenLake-v1"), seed=0).learn(50, schedule_timesteps=200)
    assert not differences(agent, plain)  # the window did not change what was learned
    done = cli(*words, "--algo", "sb3/ppo")
    assert done.returncode == 2
    assert "does not learn step by step" in done.stderr
