"""What programs read from the command line: ``--json``, alone on standard output, and the completion of shells."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

from rlplay.cli import main
from rlplay.cli.completion import SHELLS, script

LAKE = ("--algo", "q-learning", "--env", "FrozenLake-v1")


@pytest.fixture
def asked(capfd):
    """The data that a command answers with: all of its standard output."""

    def ask(*words):
        capfd.readouterr()
        code = main([*words, "--json"])
        out, err = capfd.readouterr()
        assert code == 0, err
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return ask


def test_list_and_show_as_json(asked):
    found = asked("list")
    assert {"agents", "envs", "models", "gymnasium", "sklearn"} <= set(found)
    (pole,) = [one for one in found["agents"] if one["id"] == "q-learning"]
    assert pole["summary"].startswith("Q-learning")
    assert set(asked("list", "envs")) == {"envs", "gymnasium"}
    agent = asked("show", "q-learning")
    assert (agent["kind"], agent["import"]) == ("agent", "from agents import QLearning")
    assert asked("show", "sb3/ppo")["import"] == "from agents.sb3 import PPO"
    (alpha,) = [one for one in agent["hyperparameters"] if one["name"] == "alpha"]
    assert set(alpha) == {"name", "default", "range", "meaning"}
    env = asked("show", "FrozenLake-v1")
    assert (env["kind"], env["observation_space"], env["time_limit"]) == ("environment", "Discrete(16)", 100)


def test_runs_eval_and_compare_as_json(asked, capfd):
    made = asked("compare", "--algo", "q-learning", "sarsa", *LAKE[2:], "-n", "2000", "--seed", "0", "1", "-o", "a.png")
    assert [one["name"] for one in made["agents"]] == ["q-learning", "sarsa"]
    first = made["agents"][0]
    assert len(first["returns"]) == 2
    assert len(first["returns"][0]) == len(first["timesteps"]) == len(first["intervals"])
    assert (first["seeds"], made["files"], len(made["improvement"])) == ([0, 1], ["a.png"], 2)
    one_seed = asked("compare", first_run := "logs/q-learning/FrozenLake-v1_1", "-o", "b.png")
    assert one_seed["agents"][0]["last_interval"] == [None, None]  # NaN is no JSON
    rows = asked("runs")["runs"]
    assert [(row["algo"], row["seed"]) for row in rows] == [
        ("q-learning", 0), ("q-learning", 1), ("sarsa", 0), ("sarsa", 1)
    ]  # fmt: skip
    assert asked("list", "runs")["runs"] == rows
    assert len(asked("runs", "compare", "-o", "c.png")["curves"]) == 2
    played = asked("eval", first_run, "--eval-episodes", "3")
    assert [one["policy"] for one in played["played"]] == ["greedy", "own"]
    assert len(played["played"][0]["returns"]) == played["episodes"] == 3
    assert (played["agent"], played["timesteps"]) == ("q-learning", 2000)
    assert main(["runs", "prune", "--json"]) == 2
    out, err = capfd.readouterr()
    assert not out
    assert "--json has no effect here" in err
    assert main(["show", "no-such", "--json"]) == 2
    assert not capfd.readouterr().out


def test_bench_as_json(asked, capfd):
    found = asked("bench", "environments", "--rounds", "1")
    assert [line["name"] for line in found["lines"]] == [
        f"64 {env}, steps/s" for env in ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1")
    ]
    assert all(line["ratio"] > 1 and line["ours"] > line["theirs"] for line in found["lines"])
    assert found["machine"]
    assert main(["bench", "enviroments"]) == 2
    assert "Did you mean environments?" in capfd.readouterr().err


COMPLETED = [
    (["rlplay", "tra"], ["train"]),
    (["rlplay", "train", "--algo", "q-le"], ["q-learning"]),
    (["rlplay", "train", "--algo", "sarsa", "double-q"], ["double-q-learning"]),
    (["rlplay", "train", "--env", "CartP"], ["CartPole-v1"]),
    (["rlplay", "train", "--n-time"], ["--n-timesteps"]),
    (["rlplay", "train", "--engine", ""], ["auto", "python", "compiled"]),
    (["rlplay", "eval", "--conf"], []),
    (["rlplay", "show", "value-it"], ["value-iteration"]),
    (["rlplay", "list", "ag"], ["agents"]),
    (["rlplay", "watch", "a_fi"], ["a_file.rlp"]),
    (["rlplay", "models", "show", "k-me"], ["k-means"]),
    (["rlplay", "completion", ""], list(SHELLS)),
    (["rlplay", "bench", "ag"], ["agents"]),
    (["rlplay", "figure", "cliff-w"], ["cliff-walking"]),
]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("typed", "right"), [*COMPLETED, (["rlplay", "train", "--engine", "=", "py"], ["python"])], ids=" ".join
)  # bash takes --engine=py for three words
def test_bash_completes(typed, right, tmp_path):
    (tmp_path / "a_file.rlp").write_text("")
    words = " ".join(f"'{word}'" for word in typed)
    code = script("bash") + f"COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _rlplay\n"
    code += "printf '%s\\n' \"${COMPREPLY[@]}\"\n"
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == [word for word in right if not word.startswith("CartPoleNoVel")]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(("typed", "right"), COMPLETED, ids=" ".join)
def test_fish_completes(typed, right, tmp_path):
    (tmp_path / "a_file.rlp").write_text("")
    (tmp_path / "rlplay.fish").write_text(script("fish"))
    code = f"source rlplay.fish; complete -C '{' '.join(typed)}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    found = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert sorted(found) == sorted(right)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes(tmp_path):
    """The Tab key in a terminal: zsh gives completions nothing to test them with elsewhere."""
    import pty  # none on Windows

    (tmp_path / "rlplay.zsh").write_text(script("zsh"))
    (tmp_path / "a_file.rlp").write_text("")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f"], {**os.environ, "TERM": "dumb", "COLUMNS": "200"})

    def seen(wanted: str) -> bool:
        """Whether the terminal shows it within half a minute."""
        shown, until = "", time.monotonic() + 30
        while wanted not in shown and time.monotonic() < until:
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace").replace("\a", "")
        return wanted in shown

    os.write(terminal, b"autoload -U compinit; compinit -u -D; source ./rlplay.zsh; echo re''ady\n")
    assert seen("ready")
    for typed, right in [*COMPLETED, (["rlplay", "train", "--engine=py"], ["--engine=python"])]:
        if len(right) == 1:
            os.write(terminal, " ".join(typed).encode() + b"\t")
            assert seen(" ".join([*typed[:-1], right[0]])), typed
            os.write(terminal, b"\x15")  # the line is emptied
    os.write(terminal, b"exit\n")
    os.waitpid(child, 0)
    os.close(terminal)


def test_the_command_prints_the_script(capsys):
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == script("fish")


def test_characters_that_an_output_lacks_end_no_command(monkeypatch):
    """A pipe on Windows, or the C locale."""
    from rlplay import cli as command_line
    from rlplay.cli.common import console

    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    console.cache_clear()
    assert command_line.main(["show", "q-learning"]) == 0
    console.cache_clear()
    assert b"Q(S, A) ? Q(S, A)" in written.getvalue()


def test_a_reader_that_is_gone_is_no_failure():
    from rlplay.cli.common import console

    with pytest.raises(BrokenPipeError):  # rich would end with 1; `main` ends with 0
        console().on_broken_pipe()
