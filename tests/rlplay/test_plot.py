"""Curves from logs: numbers known by hand, runs grouped by name, damage named, nothing executed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from rlplay.cli import main
from rlplay.errors import MissingPackageError, RlplayWarning, UsageError
from rlplay.reports.logs import curves_of, read_runs

pytestmark = pytest.mark.filterwarnings("always::rlplay.errors.RlplayWarning")


def evaluated(folder, results, steps=(10, 20, 30)):
    folder.mkdir(parents=True, exist_ok=True)
    results = np.array(results, np.float64)[:, None]
    np.savez(folder / "evaluations.npz", timesteps=np.array(steps), results=results,
             ep_lengths=np.ones_like(results, np.int64))  # fmt: skip


def monitored(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        file.write('#{"t_start": 0.0, "env_id": "CartPole-v1"}\n')
        csv.writer(file).writerows([["r", "l", "t"], *rows])


def test_evaluations_of_seeds_are_one_curve():
    for k, results in enumerate(([1, 2, 3], [3, 4, 5]), 1):
        evaluated(Path(f"logs/ppo/CartPole-v1_{k}"), results)
    evaluated(Path("logs/a2c/CartPole-v1_1"), [0, 0, 0])
    quantity, curves = curves_of(read_runs([Path("logs")]))
    assert quantity == "evaluations"
    found = {curve.name: (curve.timesteps.tolist(), curve.returns.tolist()) for curve in curves}
    assert found == {
        "ppo/CartPole-v1": ([10, 20, 30], [[1, 2, 3], [3, 4, 5]]), "a2c/CartPole-v1": ([10, 20, 30], [[0, 0, 0]])
    }  # fmt: skip
    assert len(curves_of(read_runs([Path("logs")]), each=True)[1]) == 3


def test_one_run_each_is_said_and_keeps_the_number_in_its_name(monkeypatch, capsys):
    evaluated(Path("runs/net64"), [1, 2, 3])
    evaluated(Path("runs/wide_2"), [1, 2, 3])
    _, curves = curves_of(read_runs([Path("runs")]))
    assert [curve.name for curve in curves] == ["runs/net64", "runs/wide"]
    titles = []
    monkeypatch.setattr("matplotlib.axes.Axes.legend", lambda *_, title, **more: titles.append(title))
    assert main(["plot", "runs", "-y", "evaluations"]) == 0
    assert titles == ["one run each"]
    assert "highest" in capsys.readouterr().out


def test_episodes_of_several_environments_stand_in_the_order_they_ended():
    monitored(Path("run/0.monitor.csv"), [[1.0, 10, 1.0], [3.0, 10, 3.0]])
    monitored(Path("run/1.monitor.csv"), [[2.0, 5, 2.0]])
    _, (curve,) = curves_of(read_runs([Path("run")]))
    assert (curve.timesteps.tolist(), curve.returns.tolist()) == ([10, 15, 25], [[1.0, 1.5, 2.0]])


def test_curves_along_episodes_and_seconds_also_of_a_run_that_was_resumed():
    monitored(Path("a_1/0.monitor.csv"), [[1.0, 10, 2.0], [3.0, 10, 4.0], [5.0, 20, 1.0]])  # the clock begins anew
    evaluated(Path("a_1"), [7, 8], (20, 40))
    runs = read_runs([Path("a_1")])
    places = {
        axis: [
            curves_of(runs, quantity, axis=axis)[1][0].timesteps.tolist() for quantity in ("episodes", "evaluations")
        ]
        for axis in ("steps", "episodes", "time")
    }
    assert places == {
        "steps": [[10, 20, 40], [20, 40]], "episodes": [[1, 2, 3], [2, 3]], "time": [[2.0, 4.0, 5.0], [4.0, 5.0]]
    }  # fmt: skip
    assert main(["plot", "a_1", "-x", "time", "-o", "time.png"]) == 0


def test_rows_of_numbers_are_a_clock_and_evaluations_alone_are_none():
    Path("run").mkdir()
    header = "time/total_timesteps,time/time_elapsed,rollout/episodes,train/loss\n"
    Path("run/progress.csv").write_text(header + "10,1.5,1,4\n20,2.5,3,2\n")
    runs = read_runs([Path("run")])
    assert curves_of(runs, "train/loss", axis="time")[1][0].timesteps.tolist() == [1.5, 2.5]
    assert curves_of(runs, "train/loss", axis="episodes")[1][0].timesteps.tolist() == [1, 3]
    evaluated(Path("alone"), [1, 2, 3])
    with pytest.raises(UsageError, match=r"says its seconds. Take -x steps"):
        curves_of(read_runs([Path("alone")]), axis="time")


def test_runs_logged_at_other_timesteps_are_interpolated():
    evaluated(Path("a_1"), [0, 10, 20], (0, 10, 20))
    evaluated(Path("a_2"), [5, 15], (5, 15))
    _, (curve,) = curves_of(read_runs([Path("a_1"), Path("a_2")]))
    assert (curve.timesteps[0], curve.timesteps[-1]) == (5, 15)
    np.testing.assert_allclose(curve.returns, [curve.timesteps, curve.timesteps])


def test_a_long_and_a_short_run_are_drawn_each_by_itself():
    evaluated(Path("logs/ppo/CartPole-v1_1"), [1, 2], steps=(100, 200))
    evaluated(Path("logs/ppo/CartPole-v1_2"), [3, 4], steps=(5, 10))
    with pytest.warns(RlplayWarning, match="ppo/CartPole-v1 have no timesteps in common: each is drawn by itself"):
        _, curves = curves_of(read_runs([Path("logs")]))
    assert [curve.name for curve in curves] == ["ppo/CartPole-v1_1", "ppo/CartPole-v1_2"]


def test_progress_by_its_tags_and_a_tag_that_is_not_there():
    Path("run").mkdir()
    Path("run/progress.csv").write_text("train/loss,time/total_timesteps,word\n,10,a\n2.5,20,b\n1.5,30,\n")
    quantity, (curve,) = curves_of(read_runs([Path("run")]), "train/loss")
    assert (quantity, curve.timesteps.tolist(), curve.returns.tolist()) == ("train/loss", [20, 30], [[2.5, 1.5]])
    with pytest.raises(UsageError, match="Did you mean train/loss"):
        curves_of(read_runs([Path("run")]), "train/lost")


def test_damaged_logs_are_named_and_the_rest_is_drawn(capsys):
    evaluated(Path("logs/ppo/Env_1"), [1, 2, 3])
    for k, damage in enumerate((b"", b"PK\3\4 no zip", Path("logs/ppo/Env_1/evaluations.npz").read_bytes()[:99]), 2):
        folder = Path(f"logs/ppo/Env_{k}")
        folder.mkdir()
        (folder / "evaluations.npz").write_bytes(damage)
    pickled = Path("logs/ppo/Env_9")
    pickled.mkdir()
    np.savez(pickled / "evaluations.npz", timesteps=np.array([print], object), results=[[1.0]], ep_lengths=[[1]])
    for name, content in (("0.monitor.csv", b"#{}\nr,l,t\n1,x,2\n"), ("progress.csv", b"\xff\xfe\0")):
        (pickled / name).write_bytes(content)
    assert main(["plot", "logs", "-o", "a.svg", "--json"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert [(curve["name"], curve["returns"]) for curve in data["curves"]] == [("ppo/Env", [[1.0, 2.0, 3.0]])]
    for name in ("Env_2", "Env_3", "Env_4", "Env_9/evaluations.npz", "Env_9/0.monitor.csv", "Env_9/progress.csv"):
        assert f"left out: logs/ppo/{name}" in err, name
    assert "<svg" in Path("a.svg").read_text()


def test_evaluations_that_are_not_finite_are_said():
    evaluated(Path("run"), [1.0, float("nan"), 3.0, float("inf")], (10, 20, 30, 40))
    with pytest.warns(RlplayWarning, match="2 evaluations whose returns are not finite are left out"):
        assert curves_of(read_runs([Path("run")]))[1][0].returns.tolist() == [[1.0, 3.0]]


def test_a_line_that_a_kill_cut_is_left_out():
    Path("run").mkdir()
    Path("run/progress.csv").write_text("time/total_timesteps,train/loss\n10,1.0\n20,2.0\n3")
    _, (curve,) = curves_of(read_runs([Path("run")]), "train/loss")
    assert curve.timesteps.tolist() == [10, 20]


def test_tensorboards_files(monkeypatch):
    pytest.importorskip("tensorboard")
    from rlplay.training.logs import TensorBoard

    writer = TensorBoard(Path("tb/PPO_1"))
    for step in (10, 20):
        writer.add("rollout/ep_rew_mean", step / 2, step)
    writer.close()
    quantity, (curve,) = curves_of(read_runs([Path("tb")]))
    assert (quantity, curve.name, curve.returns.tolist()) == ("rollout/ep_rew_mean", "tb/PPO", [[5.0, 10.0]])
    (file,) = Path("tb/PPO_1").iterdir()
    file.write_bytes(file.read_bytes()[:-3] + b"xyz")
    with pytest.warns(RlplayWarning) as said:
        file.with_name("events.out.tfevents.bad").write_bytes(b"nothing of it")
        assert read_runs([Path("tb")])[0].series["rollout/ep_rew_mean"][0].tolist() == [10]
    assert any("tfevents.bad" in str(one.message) for one in said)
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.warns(RlplayWarning), pytest.raises(MissingPackageError, match=r"rlplay\[tensorboard\]"):
        read_runs([Path("tb")])


def test_nothing_to_draw_is_said(capsys):
    assert main(["plot", "nowhere"]) == 2
    Path("empty").mkdir()
    assert main(["plot", "empty"]) == 2
    assert "evaluations.npz, *.monitor.csv" in capsys.readouterr().err


def test_long_tables_are_read_whole_and_a_clock_that_begins_anew_ten_thousand_times_goes_on():
    Path("long").mkdir()
    rows = [f"{k % 7},{k},{2.5 if k % 3 else ''}" for k in range(2_500)]
    rows[700:700] = ["1,2", "1,2,3,4", "word,5,6"]
    Path("long/progress.csv").write_text("\n".join(["time/fps,time/total_timesteps,loss", *rows]))
    Path("long/0.monitor.csv").write_text("#{}\nr,l,t\n" + "1,1,2.0\n1,1,1.0\n" * 10_000)
    with pytest.warns(RlplayWarning, match="progress.csv: 2 damaged rows left out"):
        (run,) = read_runs([Path("long")])
    steps, values = run.series["time/fps"]
    assert steps.tolist() == list(range(2_500))
    assert values[6:9].tolist() == [6.0, 0.0, 1.0]
    assert len(run.series["loss"][0]) == 1_666
    assert run.clocks["time"][1][:4].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert run.clocks["time"][1][-1] == 20_001.0
