"""Tables of runs: what is listed is what was written; what is exported comes back in one line of pandas."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

import rlplay
from rlplay.errors import MissingPackageError, RlplayWarning, UsageError
from rlplay.reports.runs import _flat, columns_of, export, filtered, remove, runs
from rlplay.runners.job import Job, finish
from rlplay.storage.files import locked
from rlplay.training.run_folder import new_run, read_evaluations
from tests.rlplay.test_runners import ASKED


@pytest.fixture
def logs(tmp_path):
    for seed, alpha in ((0, 0.1), (1, 0.1), (2, 0.5)):
        run = new_run(tmp_path / "logs", "q-learning", "FrozenLake-v1")
        assert not finish(Job(run.path, {**ASKED, "seed": seed}, {"alpha": alpha})).error
    return tmp_path / "logs"


def test_a_row_says_what_was_asked_and_what_came(logs):
    rows = rlplay.runs(logs)
    assert [row["seed"] for row in rows] == [0, 1, 2]
    results = read_evaluations(Path(rows[0]["run"]) / "evaluations.npz").results.mean(axis=1)
    assert (rows[0]["last"], rows[0]["best"]) == (results[-1], results.max())
    assert (rows[0]["timesteps"], rows[0]["finished"], rows[2]["params.alpha"]) == (2000, True, 0.5)
    (Path(rows[0]["run"]) / "FrozenLake-v1" / "args.yml").write_text("nothing")
    (Path(rows[1]["run"]) / "progress.csv").write_text("half a li")
    with pytest.warns(RlplayWarning, match="left out: .*args.yml is damaged"):
        left = runs(logs)
    assert [(row["seed"], row["timesteps"]) for row in left] == [(1, 0), (2, 2000)]


def test_rows_are_filtered_by_any_column(logs):
    rows = runs(logs)
    assert [row["seed"] for row in filtered(rows, ["alpha=0.5"])] == [2]
    assert [row["seed"] for row in filtered(rows, ["params.alpha<2e-1", "seed>=1"])] == [1]
    assert filtered(rows, ["algo!=q-learning"]) == []
    assert len(filtered(rows, ["finished=true"])) == 3
    for condition, said in (("lenght>3", "unknown column 'lenght'"), ("best", "no condition"), ("best>[", "literal")):
        with pytest.raises(UsageError, match=said):
            filtered(rows, [condition])


def test_a_word_is_not_compared_with_a_number():
    rows = [{"best": 10.0, "env": "A"}, {"best": None, "env": "B"}]
    with pytest.raises(UsageError, match="best is a number. For example --where 'best>=10.0'"):
        filtered(rows, ["best>=high"])
    assert filtered(rows, ["env=B"]) == rows[1:]


def test_runs_that_differ_in_a_setting_of_their_features_are_told_apart():
    from rlplay.cli.runs import _differing

    rows = [{"algo": "sarsa", **_flat("params.features", {"model": "k-means", "params": {"n_clusters": n, "tol": 0.1}})}
            for n in (8, 64)]  # fmt: skip
    assert _differing(rows) == ["params.features.n_clusters"]


def test_tables_on_a_narrow_terminal_lose_no_number():
    from io import StringIO

    from rich.console import Console
    from rich.table import Table

    from rlplay.cli.common import fits, turned, without_spare

    def table():
        found = Table("run", "written", "MB", "score", box=None)
        found.add_row("logs/sarsa/CartPole-v1_1", "2026-01-01 00:00", "0.12", "123.4")
        return found

    screen = Console(file=StringIO(), force_terminal=True, width=50)
    short = table()
    assert without_spare(short, screen, ["written", "MB"]) == ["written"]
    screen.print(short)
    assert not fits(table(), screen)
    screen.print(turned(table()))
    printed = screen.file.getvalue()
    assert "…" not in printed
    assert printed.count("CartPole-v1_1") == printed.count("0.12") == printed.count("123.4") == 2
    pipe = Console(file=StringIO(), width=50)
    assert fits(table(), pipe)


def test_a_table_comes_back(logs, tmp_path, monkeypatch):
    rows = runs(logs)
    export(rows, tmp_path / "runs.csv")
    with open(tmp_path / "runs.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == columns_of(rows)
    assert [float(row["params.alpha"]) for row in read] == [0.1, 0.1, 0.5]
    with pytest.raises(UsageError, match="neither"):
        export(rows, tmp_path / "runs.xls")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"rlplay\[parquet\]"):
        export(rows, tmp_path / "runs.parquet")


def test_pandas_reads_both_in_one_line(logs, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rows = runs(logs)
    assert pandas.DataFrame(rows)["best"].tolist() == [row["best"] for row in rows]
    for ending, read in ((".csv", pandas.read_csv), (".parquet", pandas.read_parquet)):
        export(rows, tmp_path / f"runs{ending}")
        table = read(tmp_path / f"runs{ending}")
        assert table["best"].tolist() == [row["best"] for row in rows]
        assert table["params.alpha"].tolist() == [0.1, 0.1, 0.5]


def test_runs_that_are_being_written_are_not_removed(logs):
    rows = runs(logs)
    with locked(Path(rows[0]["run"])):
        gone, busy = remove(rows)
    assert (len(gone), busy) == (2, [rows[0]["run"]])
    assert [row["run"] for row in runs(logs)] == busy


@pytest.mark.slow
def test_the_command_line_lists_compares_prunes_and_exports(cli, logs):
    answer = cli("runs", "--sort", "best")
    assert (answer.returncode, answer.stdout.count("logs/q-learning"), "alpha" in answer.stdout) == (0, 3, True)
    assert cli("runs", "--where", "alpha=0.5").stdout.count("logs/q-learning") == 1
    answer = cli("runs", "compare")
    assert "q-learning alpha=0.5" in answer.stdout
    assert Path("runs-FrozenLake-v1.png").stat().st_size > 10_000
    assert "would remove every run" in cli("runs", "prune").stderr
    answer = cli("runs", "prune", "--keep", "1")
    assert "2 of 3 runs" in answer.stdout
    assert len(runs(logs)) == 3
    best = max(row["best"] for row in runs(logs))
    assert cli("runs", "prune", "--keep", "1", "--yes").returncode == 0
    assert [row["best"] for row in runs(logs)] == [best]
    assert cli("runs", "export", "-o", "all.csv").returncode == 0
    for words, said in (
        (("--sort", "lenght"), "unknown column 'lenght'"),
        (("-f", "nowhere"), "holds no runs"),
        (("--algo", "sarsa"), "no run in logs has the algo sarsa"),
        (("--yes",), "only prune removes"),
    ):
        answer = cli("runs", *words)
        assert (answer.returncode, said in answer.stderr) == (2, True), answer.stderr


@pytest.mark.slow
def test_a_run_is_written_for_weights_and_biases_without_a_network(tmp_path):
    pytest.importorskip("wandb")
    from agents import QLearning

    QLearning("FrozenLake-v1", seed=0).learn(500, rlplay.WandbCallback(tmp_path, name="lake"))
    (found,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    content = found.read_bytes()
    assert b"rollout/ep_rew_mean" in content
    assert b"lake" in content


def test_missing_trackers_name_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingPackageError, match=r"rlplay\[wandb\]"):
        rlplay.WandbCallback()
