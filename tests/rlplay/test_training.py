from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace

import numpy as np
import pytest

from agents import LinearActorCritic, QLearning, ValueIteration
from rlplay import Callback, CheckpointCallback, EvalCallback, make
from rlplay.cli import warm
from rlplay.compiled.training_loop import LOG_ROWS, is_logged
from rlplay.errors import EnvironmentFault, RlplayWarning, UsageError
from rlplay.testing import differences
from rlplay.training import run
from rlplay.training.trackers import TensorBoardCallback


@pytest.mark.parametrize("bad", [0, -5, 1.5, "many", None, float("nan"), True])
def test_bad_totals(bad):
    with pytest.raises(UsageError, match="total_timesteps"):
        QLearning("FrozenLake-v1", seed=0).learn(bad)


def test_engines_are_chosen_and_refused_with_the_reason():
    agent = QLearning(make("FrozenLake-v1", dynamics="gymnasium"), seed=0)
    with pytest.raises(UsageError, match="no compiled dynamics"):
        agent.learn(10, engine="compiled")
    with pytest.raises(UsageError, match="engine='fast'"):
        agent.learn(10, engine="fast")

    class Every(Callback):
        every_step = True
        seen = 0

        def on_step(self):
            self.seen += 1

    every = Every()
    watched = QLearning("FrozenLake-v1", seed=0).learn(300, every)
    assert every.seen == 300
    assert not differences(watched, QLearning("FrozenLake-v1", seed=0).learn(300, engine="compiled"))
    with pytest.raises(UsageError, match="every step"):
        watched.learn(10, Every(), engine="compiled")


def test_functions_are_callbacks_and_stop():
    agent = QLearning("FrozenLake-v1", seed=0)
    agent.learn(10_000_000, lambda a: a.num_timesteps < 5000)
    assert 5000 <= agent.num_timesteps < 10_000_000
    with pytest.raises(UsageError, match="callback=3"):
        agent.learn(10, 3)


def test_evaluation_happens_at_exact_steps_in_both_drivers(tmp_path):
    results = []
    for engine in ("compiled", "python"):
        callback = EvalCallback(
            eval_freq=700, n_eval_episodes=3, log_path=tmp_path / engine, best_model_save_path=tmp_path / engine
        )
        QLearning("FrozenLake-v1", seed=0).learn(3000, callback, engine=engine)
        assert callback.timesteps == [700, 1400, 2100, 2800]
        with np.load(tmp_path / engine / "evaluations.npz") as saved:
            assert saved["results"].shape == (4, 3)
            results.append(saved["results"].tolist())
        assert (tmp_path / engine / "best_model.rlp").is_file()
    assert results[0] == results[1]


def test_checkpoints_are_numbered_and_pruned(tmp_path):
    QLearning("FrozenLake-v1", seed=0).learn(2500, CheckpointCallback(500, tmp_path, keep=2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rl_model_2000_steps.rlp", "rl_model_2500_steps.rlp"]


def test_a_full_disk_keeps_the_old_file_and_training_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "rl_model_1000_steps.rlp"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="old file is kept and training goes on"):
        agent = QLearning("FrozenLake-v1", seed=0).learn(2500, CheckpointCallback(1000, tmp_path))
    assert agent.num_timesteps == 2500
    assert path.read_bytes() == b"old"


def test_statistics_are_the_same_in_both_drivers_and_thinned_the_same_way():
    envs = [make("FrozenLake-v1", max_episode_steps=3) for _ in range(2)]
    agents = [
        QLearning(env, seed=3).learn(50_000, engine=e) for env, e in zip(envs, ("compiled", "python"), strict=True)
    ]
    assert agents[0].statistics.state() == agents[1].statistics.state()
    assert agents[0].statistics.episodes > 10_000


def test_thinning_keeps_all_then_a_tenth():
    kept = [n for n in range(200_000) if is_logged(n)]
    assert kept[:10_000] == list(range(10_000))
    assert kept[10_000:10_003] == [10_000, 10_010, 10_020]
    assert len([n for n in kept if n >= 100_000]) == 1000


def test_a_full_log_only_ends_the_chunk():
    class Short(Callback):
        rows = 0

        def on_episodes(self, rows):
            self.rows += len(rows)
            assert len(rows) <= LOG_ROWS

    short = Short()
    env = make("FrozenLake-v1", max_episode_steps=1)
    agent = QLearning(env, seed=0).learn(200_000, short)
    assert agent.statistics.episodes == 200_000
    assert short.rows == sum(is_logged(n) for n in range(200_000))


def test_log_interval_counts_episodes():
    class Logs(Callback):
        calls = 0

        def on_log(self):
            self.calls += 1

    by_default, by_episodes = Logs(), Logs()
    QLearning("FrozenLake-v1", seed=0).learn(10_000, by_default)
    assert 95 <= by_default.calls <= 101
    agent = QLearning("FrozenLake-v1", seed=0).learn(2000, by_episodes, log_interval=50, engine="python")
    assert 0 < by_episodes.calls <= agent.statistics.episodes // 50 + 1


def test_planners_take_callbacks_too():
    class Sweeps(Callback):
        every_step = True
        deltas: list[float] = []  # noqa: RUF012

        def on_step(self):
            self.deltas.append(float(self.agent.delta[0]))

    ValueIteration("FrozenLake-v1", in_place=False, gamma=0.9).learn(1000, Sweeps())
    assert Sweeps.deltas == sorted(Sweeps.deltas, reverse=True)  # a contraction


INTERRUPTED = """
import os, signal, sys, threading
from agents import QLearning
from rlplay import Callback
class Signal(Callback):
    def on_step(self):
        if self.agent.num_timesteps > 20_000 and not getattr(self, "sent", 0):
            self.sent = 1
            os.kill(os.getpid(), signal.SIGINT)
agent = QLearning("FrozenLake-v1", seed=0)
try:
    agent.learn(10**9, Signal(), engine=sys.argv[1], schedule_timesteps=1000)
except KeyboardInterrupt:
    print(agent.num_timesteps)
    agent.save("stopped")
"""


@pytest.mark.parametrize("engine", ["python", "compiled"])
def test_ctrl_c_stops_at_a_whole_step(tmp_path, engine):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, engine], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    steps = int(done.stdout)
    straight = QLearning("FrozenLake-v1", seed=0).learn(steps, schedule_timesteps=1000)
    assert not differences(straight, QLearning.load(tmp_path / "stopped"))


def test_signal_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    QLearning("FrozenLake-v1", seed=0).learn(10)
    assert signal.getsignal(signal.SIGINT) is before


def test_learning_in_a_thread():
    import threading

    agent = QLearning("FrozenLake-v1", seed=0)
    thread = threading.Thread(target=agent.learn, args=(1000,))
    thread.start()
    thread.join()
    assert agent.num_timesteps == 1000


COUNT = """
from agents import QLearning
from rlplay.compiled.cache import compile_report
QLearning("FrozenLake-v1", seed=0).learn(1000)
print(compile_report()["compiled"])
"""


def test_a_second_start_compiles_nothing(tmp_path):
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    runs = [
        subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True, env=env).stdout
        for _ in range(2)
    ]
    assert int(runs[0]) > 0
    assert int(runs[1]) == 0


@pytest.mark.slow
def test_without_a_folder_for_machine_code_it_still_runs(tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME")}
    (tmp_path / "file").write_text("")
    env["RLPLAY_CACHE_DIR"] = str(tmp_path / "file" / "impossible")
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True, env=env)
    assert int(done.stdout) > 0
    done = subprocess.run(
        [sys.executable, "-m", "rlplay", "train", "--algo", "sarsa", "--env", "FrozenLake-v1", "-n", "100"],
        capture_output=True,
        text=True,
        check=True,
        env=env,
    )
    assert "impossible is no folder that can be written. Set RLPLAY_CACHE_DIR" in done.stderr


def test_what_cannot_be_kept_on_disk_is_said(tmp_path, monkeypatch):
    counts = itertools.count()
    monkeypatch.setattr("rlplay.training.run.compile_report", lambda: {"compiled": next(counts), "from_disk": 0})
    for folder, words in ((None, "is no folder that can be written"), (tmp_path / "gone", "nothing can be written in")):
        monkeypatch.setattr("rlplay.compiled.kept.cache_folder", lambda found=folder: found)
        monkeypatch.setenv("RLPLAY_CACHE_DIR", str(folder))
        with pytest.warns(RlplayWarning, match=f"is compiled again in each process: .*{words}.* Set RLPLAY_CACHE_DIR"):
            QLearning("FrozenLake-v1", seed=0).learn(2)
        with pytest.raises(UsageError, match=f"cannot be kept: .*{words}"):
            warm.run(Namespace())


def test_an_edited_helper_is_not_stale(tmp_path):
    """numba stamps a function with its own file only; here an edited helper recompiles its callers."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text(
        "from rlplay.compiled.cache import compiled\n@compiled\ndef f(x):\n    return x + 1\n"
    )
    (package / "caller.py").write_text(
        "from rlplay.compiled.cache import compiled\nfrom mine.helper import f\n@compiled\ndef g(x):\n    return f(x)\n"
    )
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    code = "from mine.caller import g; print(g(1))"
    run = [sys.executable, "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True, env=env).stdout == "2\n"
    (package / "helper.py").write_text(
        "from rlplay.compiled.cache import compiled\n@compiled\ndef f(x):\n    return x + 100\n"
    )
    assert subprocess.run(run, capture_output=True, text=True, check=True, env=env).stdout == "101\n"


def test_an_edited_file_beside_a_script_is_not_stale(tmp_path):
    (tmp_path / "script.py").write_text(
        "from rlplay.compiled.cache import compiled\nfrom helper import f\n"
        "@compiled\ndef g(x):\n    return f(x)\nprint(g(1))\n"
    )
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    for number in (1, 100):
        (tmp_path / "helper.py").write_text(
            f"from rlplay.compiled.cache import compiled\n@compiled\ndef f(x):\n    return x + {number}\n"
        )
        run = [sys.executable, str(tmp_path / "script.py")]
        assert int(subprocess.run(run, capture_output=True, text=True, check=True, env=env).stdout) == 1 + number


FACTORY = """
import sys
from rlplay.compiled.cache import compiled
def make(number):
    @compiled
    def inner(x):
        return x * number
    return inner
def total(functions):
    first, second = functions
    @compiled
    def both(x):
        return 100 * first(x) + second(x)
    return both
functions = [make(int(number)) for number in sys.argv[1].split(",")]
print([function(1) for function in functions] if len(functions) != 2 else total(functions)(1))
"""


def run_factory(tmp_path, *numbers):
    """What processes print that compile closures of one factory at the same time, with one cache."""
    script = tmp_path / "script.py"
    if not script.exists():
        script.write_text(FACTORY)
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    running = [
        subprocess.Popen([sys.executable, str(script), one], stdout=subprocess.PIPE, text=True, env=env)
        for one in numbers
    ]
    return [process.communicate()[0].strip() for process in running]


def test_processes_that_compile_at_the_same_time_do_not_mix_up_their_code(tmp_path):
    assert run_factory(tmp_path, "1,2,3", "3,2,1", "2,3,1") == ["[1, 2, 3]", "[3, 2, 1]", "[2, 3, 1]"]
    assert run_factory(tmp_path, "1,2,3") == ["[1, 2, 3]"]


def test_code_of_two_processes_is_told_apart_in_a_third(tmp_path):
    """numba counts its names from 0 in each process: two closures of one factory would have the same one."""
    for number in ("1", "2"):
        assert run_factory(tmp_path, number) == [f"[{number}]"]
    assert run_factory(tmp_path, "1,2") == ["102"]


TYPED = """
from agents.q_learning import QLearning, learn
from rlplay.compiled.cache import compiled, compile_report
from rlplay.compiled.training_loop import LearningRule
@compiled
def act(memory, s, progress):
    return {action}
class Typed(QLearning):
    rule = LearningRule(act, learn)
agent = Typed("CliffWalking-v1", seed=0).learn(50)
print(int((agent.q[36] != 0).argmax()))
"""


def test_a_rule_typed_at_a_prompt_is_not_mistaken_for_another(tmp_path):
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    for action in (0, 1):
        run = [sys.executable, "-c", TYPED.format(action=action)]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=env)
        assert int(done.stdout) == action


REBOUND = """
from rlplay.compiled.cache import compiled
@compiled
def one(x):
    return x + 1
@compiled
def ten(x):
    return x * 10
for f in (one, ten):
    @compiled
    def g(x):
        return f(x)
    print(g(3))
"""


def test_the_same_lines_over_another_function_are_compiled_anew(tmp_path):
    (tmp_path / "script.py").write_text(REBOUND)
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    for _ in range(2):
        run = [sys.executable, str(tmp_path / "script.py")]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=env)
        assert done.stdout.split() == ["4", "30"]


def test_a_type_that_is_gone_does_no_harm(tmp_path):
    """numba keeps the types of arguments by name: after an update the old name may be gone."""
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    for name in ("Old", "New"):
        (tmp_path / "types_here.py").write_text(
            f"from typing import NamedTuple\nclass {name}(NamedTuple):\n    x: int\nmade = {name}(4)\n"
            "from rlplay.compiled.cache import compiled\n@compiled\ndef f(t):\n    return t.x + 1\n"
        )
        run = [sys.executable, "-c", "import types_here as t; print(t.f(t.made))"]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=env, cwd=tmp_path)
        assert done.stdout.strip() == "5"


@pytest.mark.filterwarnings("ignore:world.parameters of .* were set by hand")
def test_numbers_that_are_not_finite_stop_the_native_loop():
    agent = LinearActorCritic("rlplay/Pendulum-v1", features="tile-coding:4", seed=0).learn(100)
    agent.env.world.parameters[:] = np.nan
    with pytest.raises(EnvironmentFault, match="rlplay/Pendulum-v1 gave numbers that are not finite"):
        agent.learn(200, reset_num_timesteps=False)


# Going on after the end of a schedule.


def test_going_on_after_a_schedules_end_still_learns():
    agent = QLearning("FrozenLake-v1", alpha="lin_0.5", epsilon="lin_1", seed=0).learn(2000)
    before = agent.q.copy()
    agent.learn(4000, reset_num_timesteps=False)
    assert agent.horizon == 6000  # as Stable-Baselines3: 2/3 of the rate at the start, 0 at the end
    assert (agent.q != before).any()


def test_a_horizon_that_lies_further_on_stays():
    agent = QLearning("FrozenLake-v1", alpha="lin_0.5", seed=0).learn(100, schedule_timesteps=1000)
    assert agent.learn(100, reset_num_timesteps=False).horizon == 1000


def test_a_rate_that_stands_at_zero_is_said():
    agent = QLearning("FrozenLake-v1", alpha="lin_0.5", seed=0)
    with pytest.warns(UserWarning, match=r"alpha=lin_0.5 is 0 from timestep 50 on, and the run goes to 100"):
        agent.learn(100, schedule_timesteps=50)


@pytest.mark.parametrize(
    "logged",
    [
        lambda place: QLearning("FrozenLake-v1", tensorboard_log=str(place)).learn(50),
        lambda place: QLearning("FrozenLake-v1").learn(50, TensorBoardCallback(place)),
        lambda place: QLearning("FrozenLake-v1").learn(50, EvalCallback(eval_freq=25, log_path=place)),
    ],
)
def test_logs_below_a_file_are_refused_in_one_line(logged, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"file.logs.* cannot be written: .*(log_path|tensorboard_log)"):
        logged(tmp_path / "file" / "logs")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("compiling", [True, False])
def test_where_ctrl_c_does_not_stop_soon_it_is_said_what_is_waited_for(monkeypatch, capsys, compiling):
    monkeypatch.setattr(run, "_A_WHILE", 0.01)
    monkeypatch.setattr(run, "is_compiling", lambda: compiling)
    with run.interruptible() as caught:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
        assert caught == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    said = capsys.readouterr().err
    assert said.count("Ctrl-C once more stops at once") == 1
    assert ("compiled" in said) == compiling
    with run.interruptible():
        signal.raise_signal(signal.SIGINT)
    time.sleep(0.05)
    assert not capsys.readouterr().err
