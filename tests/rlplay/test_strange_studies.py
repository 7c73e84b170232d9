"""Studies of strangers: what no search wrote is refused in a line, and nothing that they name is imported."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from rlplay.cli import main
from rlplay.tuning.spaces import Numbers

optuna = pytest.importorskip("optuna")
from rlplay.tuning.study import Place, Plan, create  # noqa: E402

ASKED = {
    "algo": "q-learning", "env": "FrozenLake-v1", "env_kwargs": {}, "n_timesteps": 2000, "gym_packages": [],
    "dynamics": "auto", "engine": "auto", "eval_freq": 2000, "eval_episodes": 10, "save_freq": None, "keep": None,
    "log_interval": None, "tensorboard_log": None,
}  # fmt: skip


def edited(place, change):
    """The journal of a study as a stranger might have written it."""
    lines = [json.loads(line) for line in place.journal.read_text().splitlines()]
    for line in lines:
        change(line)
    place.journal.write_text("".join(json.dumps(line) + "\n" for line in lines))


STRANGE_PLANS = {
    "no dictionary": ("plan", None, "not subscriptable"),
    "no space": ("space", {"beta": [1]}, "unknown hyperparameter of q-learning 'beta'"),
    "seeds of text": ("seeds", "x", "its seeds are 'x'"),
    "another key": ("more", 1, "unexpected keyword argument 'more'"),
    "a list of arguments": ("env_kwargs", [1], r"env_kwargs is '\[1\]'"),
    "timesteps of text": ("n_timesteps", "x", "n_timesteps is 'x'"),
    "values of text": ("values", ["x"], "trial 0 has the values"),
    "another hyperparameter": ("param_name", "x", "trial 0 is of 'x'"),
}


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("strange") / "tune" / "s")
    study = create(place, Plan(ASKED, {"gamma": 0.95}, {"alpha": Numbers(0.1, 0.9)}, [0], ["iqm"]))
    study.enqueue_trial({"alpha": 0.5})
    study.tell(study.ask({"alpha": optuna.distributions.FloatDistribution(0.1, 0.9)}), 1.0)
    return place


@pytest.mark.parametrize("what", STRANGE_PLANS)
def test_a_study_that_no_search_wrote_is_refused_in_a_line(what, small_study, tmp_path, capsys):
    shutil.copytree(small_study.folder, tmp_path / "logs" / "tune" / "s")
    name, value, said = STRANGE_PLANS[what]

    def change(line):
        plan = line.get("user_attr", {}).get("plan")
        if name in ("values", "param_name"):
            line.update({name: value} if name in line else {})
        elif plan and name == "plan":
            line["user_attr"]["plan"] = value
        elif plan:
            (plan["asked"] if name in plan["asked"] else plan)[name] = value

    edited(Place(tmp_path / "logs" / "tune" / "s"), change)
    for action in ("plot", "repeat", "confirm"):
        assert main(["tune", action, "--study", "s", "-f", str(tmp_path / "logs")]) == 1
        assert re.search(f"the study s is damaged: .*{said}", capsys.readouterr().err)


@pytest.mark.parametrize("line", ["hello world", "5", '{"op_code": 4, ', "\x00"])
def test_a_damaged_line_of_a_journal_is_named(line, small_study, tmp_path, capsys):
    shutil.copytree(small_study.folder, tmp_path / "tune" / "s")
    journal = tmp_path / "tune" / "s" / "journal.log"
    first, _, *others = journal.read_text().splitlines()
    journal.write_text("\n".join([first, line, *others]) + "\n")
    for action in ("plot", "confirm"):
        assert main(["tune", action, "--study", "s", "-f", str(tmp_path)]) == 2
        assert "journal.log cannot be opened: line 2 is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["env", "wrapper", "package", "callback"])
def test_no_study_imports_what_it_names(where, small_study, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    shutil.copytree(small_study.folder, tmp_path / "logs" / "tune" / "s")
    (tmp_path / "stranger.py").write_text("raise SystemExit('it was imported')\n")
    named = {
        "env": {"env": "stranger:Env"}, "wrapper": {"env_kwargs": {"wrapper": "stranger.Wrapper"}},
        "package": {"gym_packages": ["stranger"]}, "callback": {"callback": "stranger.Callback"},
    }[where]  # fmt: skip

    def change(line):
        if plan := line.get("user_attr", {}).get("plan"):
            plan["asked"].update(named)

    edited(Place(tmp_path / "logs" / "tune" / "s"), change)
    for words in ("repeat", "confirm --top 1 --seeds 1", "revive --trial 0"):
        assert main(["tune", *words.split(), "--study", "s"]) == 2
        assert re.search("no file may import|a file may not import", said := capsys.readouterr().err)
        assert "stranger" in said
