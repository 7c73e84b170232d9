"""What is typed changes what happens, or is refused in one line with the way out; nothing is ignored in silence."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from rlplay import load, make
from rlplay.cli import play
from rlplay.environments.episode import Episode, EpisodeDigest
from rlplay.environments.make import reference
from rlplay.errors import RlplayWarning

pytestmark = pytest.mark.filterwarnings("always::rlplay.errors.RlplayWarning")  # shown as lines, as in a command
LAKE = ("--algo", "q-learning", "--env", "FrozenLake-v1")
MINE = '''
import gymnasium as gym


class Times(gym.RewardWrapper):
    def __init__(self, env, factor=10):
        super().__init__(env)
        self.factor = factor

    def reward(self, reward):
        return self.factor * reward


class Plain(gym.Env):
    """It has no pictures, and its first observation is outside its space."""

    def __init__(self, first=7):
        self.first = first
        self.observation_space, self.action_space = gym.spaces.Discrete(3), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.first, {}

    def step(self, action):
        return 5, 0.0, True, False, {}


class Bare(Plain):
    """It has no pictures."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 2, 1.0, action == 1, False, {}
'''


@pytest.fixture(autouse=True)
def mine(tmp_path):
    """A module of the user's, in the folder where the user works."""
    (tmp_path / "mine.py").write_text(MINE)
    yield
    sys.modules.pop("mine", None)


def refused(done: tuple[int, str, str], *said: str, code: int = 2) -> None:
    """One line of cause and one of remedy."""
    status, out, err = done
    assert (status, out) == (code, ""), err
    assert len(err.strip().splitlines()) == 2, err
    for words in said:
        assert words in err


# Runs that are resumed


def interrupted(run: Path, step: int) -> None:
    """The run as it stood at a numbered checkpoint."""
    good = run / f"rl_model_{step}_steps.rlp"
    shutil.copy(good, run / f"{run.name.rpartition('_')[0]}.rlp")
    for path in run.glob("rl_model_*"):
        if path != good:
            path.unlink()


def test_a_run_is_resumed_in_its_own_environment(rlplay, tmp_path):
    factor = ("--wrapper", "mine.Times: {factor: 3}")
    words = ("-n", "600", "--seed", "0", "--save-freq", "200", "--eval-freq", "-1")
    assert rlplay("train", *LAKE, *factor, *words)[0] == 0
    run = "logs/q-learning/FrozenLake-v1_1"
    interrupted(tmp_path / run, 200)
    asked = (tmp_path / run / "FrozenLake-v1" / "args.yml").read_text()
    as_it_was = f"rlplay train --resume {run} --env FrozenLake-v1 --wrapper 'mine.Times: {{\"factor\": 3}}'"
    resume = ("train", "--resume", run, "--env", "FrozenLake-v1")
    for other in (
        ("--wrapper", "mine.Times: {factor: 7}"),
        ("--wrapper", "mine.Times"),
        (*factor, "mine.Times"),
        (*factor, "--env-kwargs", "is_slippery:false"),
        (*factor, "--frame-stack", "2"),
    ):
        refused(rlplay(*resume, *other), "and", "was typed", as_it_was)
    refused(rlplay("train", "--resume", run, "--env", "CliffWalking-v1", *factor), "was typed", as_it_was)
    assert (tmp_path / run / "FrozenLake-v1" / "args.yml").read_text() == asked
    refused(rlplay("train", "--resume", run), as_it_was)
    code, out, err = rlplay(*resume, *factor)
    assert code == 0, err
    assert "resuming" in out
    for factor, given in (("", "none"), ({"factor": 7}, "Times {'factor': 7}")):
        env = make("FrozenLake-v1", wrapper={"mine.Times": factor} if factor else None)
        words = rf"trained with the wrappers Times {{'factor': 3}}, and the environment given has {given}"
        with pytest.warns(RlplayWarning, match=words):
            assert load(tmp_path / run / "FrozenLake-v1", env).num_timesteps == 600


def test_a_plain_run_is_resumed_without_wrappers_and_in_its_own_map(rlplay, tmp_path):
    folder = ("-f", "my runs")
    assert rlplay("train", *LAKE, "-n", "400", "--seed", "0", "--save-freq", "200", *folder)[0] == 0
    run = "my runs/q-learning/FrozenLake-v1_1"
    interrupted(tmp_path / run, 200)
    resume = ("train", "--resume", run, "--env", "FrozenLake-v1")
    for other in (("--wrapper", "mine.Times"), ("--env-kwargs", "desc:[SFFF,FFFF,FFFF,FFFG]"), ("--frame-stack", "2")):
        refused(rlplay(*resume, *other), f"rlplay train --resume '{run}'")
    refused(rlplay(*resume, "--dynamics", "gymnasium"), "--dynamics would change it", f"rlplay train -i '{run}' -n N")
    refused(rlplay(*resume, "--eval-episodes", "7"), "--eval-episodes would change it")
    assert rlplay(*resume, "--env-kwargs", "is_slippery:true")[0] == 2  # it is so by itself, and was not asked for
    assert rlplay(*resume, "--dynamics", "auto")[0] == 0


# Flags without an effect


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", *LAKE, "-o", "x.gif"), "-o has no effect here: no window is open"),
        (("train", *LAKE, "--fps", "5", "--max-steps", "5"), "--fps, --max-steps have no effect here"),
        (("train", *LAKE, "--size", "800x600"), "--size has no effect"),
        (("train", *LAKE, "--headless"), "--headless has no effect here: only --lock-step"),
        (("train", *LAKE, "--watch", "--headless"), "--headless has no effect"),
        (("train", *LAKE, "--exp-id", "3"), "--exp-id has no effect here: a run takes the next free number"),
        (("train", *LAKE, "--load-best"), "--load-best has no effect"),
        (("train", *LAKE, "--load-checkpoint", "3"), "--load-checkpoint has no effect"),
        (("train", *LAKE, "--keep", "2"), "--keep has no effect here: there are no numbered checkpoints"),
        (("train", *LAKE, "--eval-freq", "-1", "--eval-episodes", "3"), "--eval-episodes has no effect"),
        (("train", *LAKE, "--lock-step", "--save-freq", "9"), "--save-freq has no effect"),
        (("train", *LAKE, "--eval-freq", "-2"), "-2 is neither 1 or more, nor -1 for none"),
        (("train", *LAKE, "--save-freq", "0"), "0 is neither 1 or more, nor -1 for none"),
        (("train", "-i", "x", "--dynamics", "native"), "--dynamics has no effect here: it goes with --env"),
        (("compare", *LAKE, "--load-best"), "--load-best has no effect here: compare trains anew"),
        (("eval", "x", "-i", "y"), "-i has no effect here: PATH names the agent"),
        (("watch", "x", "--exp-id", "99"), "--exp-id has no effect here: the agent is named by its path"),
        (("watch", "-i", "x", "-f", "nope"), "-f has no effect"),
        (("eval", "--load-best", "--load-checkpoint", "5"), "--load-checkpoint: not allowed with argument --load-best"),
        (("play", "--env", "FrozenLake-v1", "--load-best"), "--load-best has no effect here: no saved agent"),
        (("replay", "x.json", "--check", "-o", "x.gif"), "-o has no effect here: --check opens no window"),
        (("list", "runs", "-f", "nope"), "nope is no folder"),
        (("replay", "x.json", "--algo", "ppo"), "unrecognized arguments: --algo"),
        (("runs", "exprt"), "unknown action 'exprt'\n  Did you mean export?"),
        (("train", *LAKE, "--dynamics", "gym"), "unknown --dynamics 'gym'\n  Known: auto, gymnasium, native"),
        (("tune", "--n-trials", "3"), "unrecognized arguments: --n-trials 3\n  Did you mean --trials?"),
        (("train", *LAKE, "--n-envs", "4"), "--n-envs 4\n  It is a hyperparameter: -params n_envs:4"),
        (("train", *LAKE, "--gama", "0.9"), "--gama 0.9\n  Did you mean -params gamma:0.9?"),
        (("train", *LAKE, "-conf", "rainbov"), "unknown settings 'rainbov'\n  Did you mean rainbow?"),
        (("train", *LAKE, "-conf", "nope"), "Give an RL Zoo file, or one of crossq"),
        (("train", "PPO", "CartPole-v1"), "Say: rlplay train --algo ppo --env CartPole-v1"),
        (("train", "q-learning"), "Say: rlplay train --algo q-learning"),
        (("train", *LAKE, "--total-timesteps", "9"), "Did you mean --n-timesteps?"),
        (("train", *LAKE, "--quite"), "See: rlplay train --help"),
        (("list", "agents", "--all"), "--all has no effect"),
        (("list", "models", "-f", "logs"), "-f has no effect"),
        (("models", "list", "k-means"), "ID has no effect"),
        (("models", "show", "k-means", "-o", "x.png"), "-o has no effect"),
        (("figure", "--runs", "3"), "--runs has no effect here: no figure is named"),
        (("compare", "--algo", "sarsa", "sarsa", "--env", "FrozenLake-v1"), "--algo names sarsa twice"),
        (("compare", "--algo", "sarsa", "--env", "FrozenLake-v1", "--seed", "0", "0"), "--seed names 0 twice"),
        (("train", *LAKE, "--seed", "1", "2", "1"), "--seed names 1 twice"),
        (("train", *LAKE, "--env-kwargs", "is_slippery:false", "is_slippery:true"), "names is_slippery twice"),
        (("train", *LAKE, "-params", "alpha:0.1", "alpha:0.2"), "-params names alpha twice"),
        (("train", *LAKE, "-params", "alpha:lin_0"), "alpha='lin_0' is never above 2e-16: nothing would be learned"),
        (("train", *LAKE, "-params", "alpha:lin_1e-30"), "nothing would be learned"),
        (("train", *LAKE, "-params", "alpha:1e-30"), "nothing would be learned"),
    ],
)
def test_what_would_have_no_effect_is_refused(words, said, rlplay):
    refused(rlplay(*words), said)
    assert not Path("logs").exists()


def test_a_flag_that_is_typed_twice_adds_to_itself(rlplay):
    given = ("-params", "alpha:0.25", "-params", "gamma:0.5", "--env-kwargs", "is_slippery:false", "--seed", "3")
    kwargs = ("--env-kwargs", "map_name:8x8", "--seed", "4", "--wrapper", "mine.Times", "--wrapper", "mine.Times")
    assert rlplay("train", *LAKE, *given, *kwargs, "-n", "50", "--eval-freq", "-1")[0] == 0
    for number, seed in ((1, 3), (2, 4)):
        folder = Path(f"logs/q-learning/FrozenLake-v1_{number}/FrozenLake-v1")
        asked, config = (yaml.safe_load((folder / name).read_text()) for name in ("args.yml", "config.yml"))
        assert (asked["seed"], config["alpha"], config["gamma"]) == (seed, 0.25, 0.5)
        assert asked["env_kwargs"] == {
            "is_slippery": False, "map_name": "8x8", "wrapper": ["mine.Times", "mine.Times"],
        }  # fmt: skip


def test_what_a_short_run_never_reaches_is_said(rlplay):
    code, _, err = rlplay("train", *LAKE, "-n", "500", "--eval-freq", "1000", "--save-freq", "600", "--seed", "0")
    assert code == 0
    assert "--eval-freq 1000 is reached by none of the 500 steps ahead: no evaluation" in err
    assert "--save-freq 600 is reached by none of the 500 steps ahead: no numbered checkpoint" in err
    _, _, err = rlplay("train", "-i", "logs/q-learning/FrozenLake-v1_1", "-n", "600", "--eval-freq", "1000")
    assert "is reached by none" not in err  # at its 1,000th step, counted from the first


def test_what_contradicts_a_saved_agent_is_refused(rlplay):
    assert rlplay("train", *LAKE, "-n", "300", "--seed", "0", "--save-freq", "100")[0] == 0
    run = "logs/q-learning/FrozenLake-v1_1"
    for verb in ("eval", "watch", "play"):
        more = ("--headless", "-o", "w.gif") if verb == "watch" else ()
        refused(rlplay(verb, run, "--algo", "ppo", *more), "holds q-learning, not ppo")
    refused(rlplay("train", "-i", run, "--algo", "ppo"), "holds q-learning, not ppo")
    refused(rlplay("eval", f"{run}/FrozenLake-v1.rlp", "--load-best"), "is one file, of which no checkpoint")
    code, out, _ = rlplay("train", "-i", run, "--load-checkpoint", "100", "-n", "50")
    assert code == 0
    assert "150 steps" in out


def test_eval_says_which_policies_are_played(rlplay):
    words = ("-n", "300", "--seed", "0", "--eval-freq", "-1", "-params")
    assert rlplay("train", *LAKE, *words, "epsilon:lin_1_0.25")[0] == 0
    run = "logs/q-learning/FrozenLake-v1_1"
    both, greedy, own = (rlplay("eval", run, *flag)[1] for flag in ((), ("--deterministic",), ("--stochastic",)))
    rows = [[name in text for name in ("greedy", "own (epsilon 0.25)")] for text in (both, greedy, own)]
    assert rows == [[True, True], [True, False], [False, True]]
    lstd = ("--algo", "lstd", "--env", "CartPole-v1", "--features", "rbf-grid:2", "-n", "100", "--eval-freq", "-1")
    assert rlplay("train", *lstd, "--seed", "0")[0] == 0
    assert "epsilon" not in rlplay("eval", "--algo", "lstd")[1]  # its epsilon stands on the diagonal


# Episode files


@pytest.fixture
def episode(tmp_path):
    """Write an episode of three steps, with some of its values replaced; its path."""
    env = make("FrozenLake-v1", is_slippery=False)
    told, digest = Episode(reference(env), seed=0, actions=[1, 1, 2], player="you"), EpisodeDigest()
    for transition in told.replay(env):
        digest.add(transition)
    told.digest = digest.hex()
    data = json.loads(told.save(tmp_path / "episode.json", env.action_space).read_text())

    def write(**changed):
        (tmp_path / "changed.json").write_text(json.dumps({**data, **changed}))
        return "changed.json"

    return write


def kwargs_of(**kwargs):
    return {"env": {"id": "FrozenLake-v1", "kwargs": kwargs}}


def test_an_episode_verifies(rlplay, episode):
    code, out, _ = rlplay("replay", episode(), "--check")
    assert code == 0
    assert "replays exactly: 3 steps" in out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"digest": ""}, "changed.json cannot be verified: it has no digest"),
        ({"actions": []}, "changed.json has no actions"),
        ({"return": 999}, "changed.json: the replay of the episode with seed 0 differs from what was recorded"),
        ({"return": float("nan")}, "differs from what was recorded"),
        ({"seed": 1, "digest": "0" * 64}, "differs from what was recorded"),
        (kwargs_of(dynamics="native"), "changed.json: 'dynamics' is no argument of an environment"),
        (kwargs_of(env="x"), "changed.json: 'env' is no argument of an environment"),
    ],
)
def test_what_cannot_be_verified_is_said(changed, said, rlplay, episode):
    refused(rlplay("replay", episode(**changed), "--check"), said, code=1)


@pytest.mark.parametrize(
    "changed", [{"actions": [True, 1, 2]}, {"actions": [1, 1.5, 2]}, {"actions": [1, 1.0, 2]}, {"digest": "abc"}]
)
def test_damaged_actions_and_digests_are_refused(changed, rlplay, episode):
    for flags in (("--check",), ("--headless", "-o", "x.gif")):
        code, _, err = rlplay("replay", episode(**changed), *flags)
        assert code == 1
        assert err.startswith("rlplay: changed.json: the episode's ")
        assert "refused" in err


def test_a_recording_that_differs_is_not_shown_as_exact(rlplay, episode):
    code, _, err = rlplay("replay", episode(**{"return": 999}), "--headless", "-o", "x.gif")
    assert code == 1
    assert "differs from what was recorded" in err
    assert rlplay("replay", episode(), "--headless", "-o", "x.gif", "--max-steps", "99")[0] == 0  # it has three


# Environments that cannot be made, and what is typed for them


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--env-kwargs", "map_name:9x9"), "FrozenLake-v1 cannot be made with map_name='9x9': KeyError: '9x9'"),
        (("--env-kwargs", "is_slippery:nope"), "is_slippery='nope' is neither true nor false"),
        (("--env-kwargs", "dynamics:native"), "'dynamics' is no argument of an environment"),
        (("--env-kwargs", "env:x"), "'env' is no argument of an environment"),
        (("--gym-packages", "mine:Times"), "--gym-packages mine:Times cannot be called: TypeError"),
    ],
)
def test_environments_that_cannot_be_made(words, said, rlplay):
    refused(rlplay("train", *LAKE, *words, "-n", "100"), said)


def test_a_module_that_raises_is_said_with_its_line(rlplay):
    Path("raises.py").write_text("x = 1\n1 / 0\n")
    Path("wrong.py").write_text("def (\n")
    for words in (("--wrapper", "raises.X"), ("--gym-packages", "raises"), ("--env", "raises:X")):
        refused(rlplay("train", *LAKE, *words), "cannot be imported: ZeroDivisionError", "raises.py, line 2)")
    refused(rlplay("check-env", "wrong:X"), "wrong cannot be imported: SyntaxError: invalid syntax (wrong.py, line 1)")
    refused(rlplay("train", *LAKE, "--gym-packages", ".x"), "'.x' is no name of a module")


def test_wrappers_as_they_were_typed(rlplay):
    code, _, err = rlplay("train", *LAKE, "--wrapper", "mine.Times: 3", "-n", "100")
    assert (code, err.strip()) == (2, "rlplay: --wrapper 'mine.Times: 3' is not module.Class: {argument: value}")
    assert "'mine.Times:3'" in rlplay("train", *LAKE, "--wrapper", "mine.Times:3", "-n", "100")[2]
    code, out, _ = rlplay("train", *LAKE, "--wrapper", "mine.Times:{factor: 2}", "-n", "100", "--eval-freq", "-1")
    assert code == 0
    assert "(not compiled: the wrapper Times around FrozenLake-v1 is Python)" in out


def test_a_run_in_a_wrapper_says_to_type_it(rlplay):
    words = ("-n", "100", "--seed", "0", "--eval-freq", "-1")
    assert rlplay("train", *LAKE, "--wrapper", "mine.Times", *words)[0] == 0
    run = "logs/q-learning/FrozenLake-v1_1"
    for command in (("eval", run), ("play", run), ("train", "-i", run, "-n", "50")):
        refused(
            rlplay(*command),
            "was trained in the wrapper mine.Times, which no file may import",
            "Type it: --env FrozenLake-v1 --wrapper mine.Times",
        )


def test_what_is_compared_in_an_environment_of_ones_own_has_costs_and_an_episode(rlplay):
    words = ("--algo", "q-learning", "sarsa", "--env", "mine:Bare", "-n", "60", "--seed", "0", "--eval-freq", "30")
    code, out, _ = rlplay("compare", *words, "--wrapper", "gymnasium.wrappers.TimeLimit:{max_episode_steps: 9}")
    assert code == 0
    assert "what a step costs" in out
    code, out, err = rlplay("compare", "logs")
    assert "what a step costs" not in out
    assert err.count("which no file may import. Type it: --env mine:Bare") == 2
    code, out, err = rlplay("compare", "logs", "--env", "mine:Bare")
    assert (code, err) == (0, "")
    assert "what a step costs" in out


def test_a_run_with_an_argument_of_the_commands_own_is_damaged(rlplay):
    assert rlplay("train", *LAKE, "-n", "100", "--seed", "0", "--eval-freq", "-1")[0] == 0
    path = Path("logs/q-learning/FrozenLake-v1_1/FrozenLake-v1/args.yml")
    asked = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**asked, "env_kwargs": {"dynamics": "native"}}))
    refused(rlplay("train", "--resume", "logs/q-learning/FrozenLake-v1_1"), "env_kwargs is", code=1)


def test_the_step_of_a_fault_is_counted_from_one(rlplay):
    words = ("train", "--algo", "q-learning", "-n", "9", "--eval-freq", "-1", "--env", "mine:Plain")
    assert "gave observation 7, which is not in Discrete(3), in reset of the episode" in rlplay(*words)[2]
    assert (
        "gave observation 5, which is not in Discrete(3), in step 1 of" in rlplay(*words, "--env-kwargs", "first:0")[2]
    )


# Windows and files


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seed", "-1"), "seed=-1 is not a whole number in [0, 2^32)"),
        (("--size", "99999x99999"), "99999x99999 is larger than 7680x4320"),
        (("-o", "mine.py/w.gif"), "mine.py/w.gif cannot be written: Not a directory"),
        (("-o", "folder.gif"), "folder.gif cannot be written: Is a directory"),
    ],
)
def test_windows_that_cannot_be(words, said, rlplay):
    assert rlplay("train", *LAKE, "-n", "100", "--seed", "0", "--eval-freq", "-1")[0] == 0
    Path("folder.gif").mkdir()
    refused(rlplay("watch", "--headless", "-o", "w.gif", *words), said)


def test_a_recording_is_refused_before_it_is_played(rlplay):
    words = ("play", "--env", "FrozenLake-v1", "--record", "mine.py/q.json")
    refused(rlplay(*words), "mine.py/q.json cannot be written: Not a directory", "--record")
    refused(rlplay("compare", *LAKE, "-o", "mine.py/x.png"), "mine.py/x.png cannot be written")
    refused(rlplay("figure", "gambler", "-o", "mine.py/x"), "cannot be written")
    assert not Path("logs").exists()


def test_what_was_played_is_replayed_by_the_words_that_are_printed(rlplay, monkeypatch):
    def two_steps(session, arguments):
        for action in (1, 1):
            session.pending = action
            session.step()

    monkeypatch.setattr(play, "open_window", two_steps)
    code, out, err = rlplay("play", "--env", "FrozenLake-v1", "--wrapper", "mine.Times", "--record", "p a.json")
    assert code == 0, err
    printed = out.strip().partition("(rlplay ")[2].removesuffix(")")
    assert printed == "replay 'p a.json' --env FrozenLake-v1 --wrapper mine.Times"
    code, out, err = rlplay(*shlex.split(printed), "--check")
    assert code == 0, err
    assert "p a.json replays exactly: 2 steps" in out


def test_the_window_of_a_run_takes_the_flags_of_a_window(rlplay, monkeypatch):
    opened = []

    class Closed:
        def __init__(self, words, **given):
            opened.extend(words[3:])

        def poll(self):
            return 0

        wait = poll

    monkeypatch.setattr("subprocess.Popen", Closed)
    monkeypatch.setattr("rlplay.viewer.display.require_display", lambda: None)
    flags = ("--size", "800x600", "--fps", "5.0", "-o", "a b.gif", "--max-steps", "9")
    code, _, err = rlplay("train", *LAKE, "-n", "100", "--seed", "0", "--watch", *flags)
    assert code == 0, err
    assert opened == ["watch", "logs/q-learning/FrozenLake-v1_1", "--follow", *flags]


def test_the_packages_of_one_command_are_not_asked_for_by_the_next(rlplay):
    code, out, err = rlplay("train", *LAKE, "-n", "100", "--seed", "0", "--gym-packages", "mine")
    assert code == 0, err
    assert "--gym-packages mine" in out
    code, out, err = rlplay("train", *LAKE, "-n", "100", "--seed", "0")
    assert code == 0, err
    assert "watch it:" in out
    assert "--gym-packages" not in out


def test_what_has_no_pictures_is_watched_by_its_observations(rlplay):
    words = ("--algo", "q-learning", "--env", "mine:Bare")
    assert rlplay("train", *words, "-n", "100", "--seed", "0", "--eval-freq", "-1")[0] == 0
    code, out, err = rlplay("watch", *words, "--headless", "-o", "w.png", "--max-steps", "3")
    assert (code, err) == (0, "")
    assert "wrote w.png" in out


def test_a_window_that_does_not_open_is_said_before_training(rlplay, monkeypatch):
    class Refused:
        def __init__(self, words, **given):
            pass

        def poll(self):
            return 2

    monkeypatch.setattr("subprocess.Popen", Refused)
    monkeypatch.setattr("rlplay.viewer.display.require_display", lambda: None)
    code, _, err = rlplay("train", *LAKE, "-n", "100", "--seed", "0", "--watch")
    assert code == 2
    assert "the window did not open" in err


def test_a_planner_without_values_is_watched(rlplay):
    words = ("train", "--algo", "mcts", "--env", "CartPole-v1", "-n", "2", "--seed", "0", "--eval-freq", "-1")
    assert rlplay(*words, "-params", "simulations:5")[0] == 0
    assert rlplay("watch", "--headless", "-o", "w.png", "--max-steps", "3")[0] == 0


def test_home_is_the_home_folder(rlplay, tmp_path, monkeypatch):
    from agents import QLearning

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    agent = QLearning("FrozenLake-v1", seed=0).learn(50)
    assert agent.save("~/x") == tmp_path / "home" / "x.rlp"
    assert load("~/x").num_timesteps == 50
    assert rlplay("eval", "~/x.rlp")[0] == 0
    env = make("FrozenLake-v1")
    assert Episode(reference(env), 0, [1]).save("~/e.json", env.action_space).parent == tmp_path / "home"
    assert not Path("~").exists()
