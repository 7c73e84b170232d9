"""Comparisons: statistics of few runs, tables, the page, saved runs."""

from __future__ import annotations

import os
import re
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from rlplay.cli import contenders
from rlplay.cli.arguments import parser
from rlplay.cli.compare import threshold_of
from rlplay.errors import RlplayWarning, UsageError
from rlplay.reports import comparison as tables
from rlplay.reports import comparison_page as page_module
from rlplay.reports import curve_svg, statistics
from rlplay.reports.comparison import Comparison, Contender, Failure
from rlplay.reports.comparison_page import render
from rlplay.reports.curves import Curve
from rlplay.reports.step_costs import StepCosts
from rlplay.training.run_folder import RunFolder

# Two agents, ten runs each of three tasks: NumPy's default_rng(7), normal around 1 and 1.3.
RNG = np.random.default_rng(7)
ONE, OTHER = RNG.normal(1.0, 0.5, (10, 3)), RNG.normal(1.3, 0.5, (10, 3))


def test_statistics_are_those_of_rliable():
    """The numbers are rliable 1.2's, of the scores above: `metrics` and `library.get_interval_estimates`.

    ``aggregate_iqm``, ``probability_of_improvement``; its percentile intervals of 10,000 resamples, which differ from
    ours by their random numbers; so do those of pairs, of 3,000.
    """
    assert statistics.interquartile_mean(ONE) == pytest.approx(IQM[0], abs=1e-12)
    assert statistics.interquartile_mean(OTHER) == pytest.approx(IQM[1], abs=1e-12)
    assert statistics.probability_of_improvement(ONE, OTHER) == pytest.approx(IMPROVEMENT, abs=1e-12)
    for scores, limits in zip((ONE, OTHER), INTERVALS, strict=True):
        found = statistics.stratified_interval([scores], statistics.interquartile_means)
        assert found == pytest.approx(limits, abs=0.02)
    found = statistics.stratified_interval([ONE, OTHER], statistics.probabilities_of_improvement)
    assert found == pytest.approx(IMPROVEMENT_INTERVAL, abs=0.02)


IQM = (0.8475457358790501, 1.2872841987540427)
IMPROVEMENT = 0.23
INTERVALS = ((0.6807, 0.9807), (1.1332, 1.4453))
IMPROVEMENT_INTERVAL = (0.1267, 0.3467)


def curve(name: str, returns, timesteps=(100, 200, 300), speed: float = 100.0, cut=None) -> Curve:
    table = np.array(returns, np.float64)
    return Curve(name, np.array(timesteps), table, np.full(len(table), speed), cut)


def comparison(*curves: Curve, threshold: float = 50.0, **others) -> Comparison:
    contenders = [Contender(one, list(range(len(one.returns)))) for one in curves]
    return Comparison("two in a world", contenders, threshold, "chosen", 5, **others)


def test_results_say_when_the_threshold_is_reached_and_what_the_curve_is_worth():
    first = curve("first", [[10, 60, 40], [20, 30, 80], [0, 70, 90]])
    second = curve("second", [[10, 20, 30], [10, 60, 20], [10, 20, 40]], speed=10.0)
    table = tables.results(comparison(second, first))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(rows) == ["first", "second"]  # the best one first
    assert rows["first"]["last"] == "70"
    assert (rows["first"]["reached"], rows["second"]["reached"]) == ("3 of 3", "1 of 3")
    assert rows["first"]["after steps"] == "200"
    assert rows["first"]["after seconds"] == "2"
    assert rows["second"]["after steps"] == "–"  # not of the seeds that happened to


def test_one_seed_has_no_interval_and_that_is_said():
    page = comparison(curve("first", [[1, 2, 3]]), curve("second", [[2, 2, 2]]))
    table = tables.results(page)
    assert {row[2] for row in table.rows} == {"–"}
    assert "One seed says nothing of the spread" in table.caption
    assert "(" not in tables.improvements(page).rows[0][2]
    assert "<polygon" not in render(page)


def test_a_step_is_split_into_environment_inference_and_update():
    made = comparison(curve("a", [[1, 2, 3]], speed=1e5), curve("b", [[1, 2, 3]], speed=1e6))
    first, second = made.contenders
    first.costs = StepCosts(2e-6, 3e-6, 1_500_000)  # of 10 microseconds a step
    second.costs = StepCosts(2e-6, 3e-6)  # more than the whole: nothing is left
    table = tables.costs(made)
    assert table.rows[0][1:] == ["100,000", "10", "2", "3", "5", "50", "1.5"]
    assert table.rows[1][1:] == ["1,000,000", "1", "2", "3", "0", "0", "–"]
    assert "What a step costs" in render(made)


def test_differences_are_those_on_the_same_seeds():
    page = comparison(curve("first", [[0, 0, 5], [0, 0, 9]]), curve("second", [[0, 0, 1], [0, 0, 2]]), paired=True)
    page.contenders[1].seeds = [1, 7]  # one seed in common: the first's second run and the second's first
    (row,) = tables.differences(page).rows
    assert row == ["first - second", "1", "8", "–", "1 of 1"]
    page.contenders[1].seeds = [8, 9]
    assert tables.differences(page).rows[0][1] == "0"


def test_an_episode_that_was_cut_does_not_set_the_scale():
    cut = np.array([[True, False, False]])
    text = render(comparison(curve("sarsa", [[-10_000, -20, -13]], cut=cut), curve("other", [[-50, -30, -15]])))
    ticks = [float(t.replace(",", "")) for t in re.findall(r"text-anchor='end'>([^<]+)<", text)]
    assert min(ticks) >= -60
    assert "may lie off the axis" in text


def test_what_is_cut_sets_no_threshold_and_who_is_off_the_axis_is_named():
    cut = np.array([[True, False, False]])
    curves = [curve("sarsa", [[-100_000, -20, -10]], cut=cut), curve("ppo", [[-10_000] * 3], cut=cut | True)]
    assert threshold_of("not/Registered-v0", curves)[0] == pytest.approx(-11)
    assert "Of ppo all were." in render(comparison(*curves))


def test_where_no_evaluation_is_better_than_the_lowest_nothing_is_reached():
    flat = comparison(curve("ppo", [[-200] * 3] * 2), curve("a2c", [[-200] * 3] * 2))
    flat.threshold, flat.threshold_words = threshold_of("not/Registered-v0", [one.curve for one in flat.contenders])
    table = tables.results(flat)
    assert "no threshold: the environment has none" in table.caption
    assert {row[table.columns.index("reached")] for row in table.rows} == {"–"}


def test_curves_differ_beyond_the_colours_and_one_seed_of_several_agents_is_named():
    many = [curve(f"agent {i}", [[1, 2, i], [1, 2, 3]]) for i in range(20)] + [curve("alone", [[1, 2, 3]])]
    text = render(comparison(*many))
    lines = re.findall(r"<polyline class='mean (c\d)' stroke-dasharray='([^']*)'", text)
    assert len(set(lines)) == len(many)
    assert "no intervals of alone." in text


def test_a_page_of_many_evaluations_has_room():
    rng, many = np.random.default_rng(0), []
    for i in range(12):
        many.append(curve(f"agent {i}", rng.normal(size=(30, 2000)), timesteps=range(1, 2001)))
        many[-1].__dict__["intervals"] = np.zeros((2000, 2))  # those take seconds
    drawing = curve_svg.Drawing(many, [one.timesteps for one in many], "timesteps")
    assert len(drawing.all()) < page_module.MOST_BYTES / 4
    assert len("".join(drawing.each())) < page_module.MOST_BYTES / 3


def test_an_unknown_speed_leaves_the_curve_out_of_the_seconds():
    curves = [curve("known", [[1, 2, 3]]), curve("unknown", [[1, 2, 3]], speed=np.nan)]
    text = render(comparison(*curves))
    assert text.count("class='mean c0'") == 2
    assert text.count("class='mean c1'") == 1
    assert "The speed of unknown is not known." in text
    assert "The speed of a, b is not known." in render(comparison(*(curve(n, [[1]], (1,), 0.0) for n in "ab")))
    strange = Curve("a", np.array([100]), np.ones((4, 1)), np.array([np.inf, np.nan, 0.0, 5.0]))
    assert strange.speed == 5.0


def test_evaluations_that_are_not_finite_are_left_out_and_named(tmp_path):
    np.savez(tmp_path / "evaluations.npz", timesteps=[1, 2, 3], results=[[1.0], [np.nan], [3.0]], ep_lengths=[[5]] * 3)
    with pytest.warns(RlplayWarning, match="1 evaluation whose returns are not finite left out"):
        found = Curve.of("a", [RunFolder(tmp_path)], [1.0])
    assert found.timesteps.tolist() == [1, 3]


def test_a_curve_whose_runs_do_not_end_together_says_where_it_ends(tmp_path):
    for k in (2, 3):
        (tmp_path / str(k)).mkdir()
        steps = np.arange(1, k + 1)
        np.savez(tmp_path / str(k) / "evaluations.npz", timesteps=steps, results=steps[:, None], ep_lengths=[[5]] * k)
    with pytest.warns(RlplayWarning, match="a: the curve ends at 2 timesteps with its shortest run; its longest has 3"):
        assert Curve.of("a", [RunFolder(tmp_path / k) for k in "23"], [1.0, 1.0]).timesteps.tolist() == [1, 2]


def test_axes_are_logarithmic_where_speeds_are_far_apart():
    far = render(comparison(curve("fast", [[1, 2, 3]], speed=1e5), curve("slow", [[1, 2, 3]], speed=1e2)))
    assert far.count("logarithmic") == 1  # of the seconds, not of the timesteps
    assert "logarithmic" not in render(comparison(curve("fast", [[1, 2, 3]]), curve("slow", [[1, 2, 3]])))


def test_what_users_write_is_text_and_nothing_is_loaded():
    evil = "<script>alert(1)</script>'\""
    page = comparison(curve(evil, [[1, 2, 3], [1, 2, 4]]), curve("b", [[1, 2, 3], [1, 2, 4]]), facts=evil, command=evil)
    page.title, page.contenders[0].settings, page.contenders[0].film_words = evil, evil, evil
    page.contenders[0].film = [np.zeros((20, 30, 3), np.uint8), np.full((20, 30, 3), 255, np.uint8)]
    text = render(page)
    assert "<script" not in text
    assert "alert(1)</script>" not in text
    assert "default-src 'none'" in text
    assert not re.findall(r"(?:src|href)=['\"](?!data:image/gif;base64,)", text)


@pytest.mark.slow
def test_films_share_the_room_of_the_page(monkeypatch):
    monkeypatch.setattr(page_module, "MOST_BYTES", 700_000)
    noise = np.random.default_rng(0)
    page = comparison(*(curve(name, [[1, 2, 3]]) for name in "abcd"))
    for one in page.contenders:
        one.film = [noise.integers(0, 255, (160, 240, 3), dtype=np.uint8) for _ in range(12)]
    assert 100_000 < len(render(page)) < 700_000


@pytest.fixture(scope="module")
def saved(tmp_path_factory, cli_in):
    """Runs of two agents, of two settings of one of them, and one in another world."""
    folder = tmp_path_factory.mktemp("saved")
    words = ("--eval-freq", "500", "--eval-episodes", "2", "-n", "1000", "-f", "logs")
    for algo, env, more in (("sarsa", "CliffWalking-v1", ()), ("q-learning", "CliffWalking-v1", ()),
                            ("q-learning", "CliffWalking-v1", ("-params", "alpha:0.5")),
                            ("sarsa", "FrozenLake-v1", ())):  # fmt: skip
        done = cli_in(folder, "train", "--algo", algo, "--env", env, "--seed", "0", "1", *words, *more)
        assert done.returncode == 0, done.stderr
    return folder


def runs(*names: str) -> list[str]:
    return [f"logs/{name}" for name in names]


def test_saved_runs_are_grouped_by_agent_and_hyperparameters(saved, cli_in):
    four = [f"q-learning/CliffWalking-v1_{k}" for k in (1, 2, 3, 4)]
    done = cli_in(saved, "compare", *runs("sarsa/CliffWalking-v1_1", "sarsa/CliffWalking-v1_2", *four), "--paired")
    assert done.returncode == 0, done.stderr
    text = (saved / "compare-CliffWalking-v1.html").read_text()
    assert "sarsa, q-learning alpha=0.1, q-learning alpha=0.5 in CliffWalking-v1, 2 seeds" in text
    assert "alpha=0.5" in text
    assert text.count("data:image/gif;base64,") == 3
    assert len(text) < 1_500_000
    assert (saved / "compare-CliffWalking-v1.png").is_file()


def test_runs_of_two_worlds_are_refused(saved, cli_in):
    done = cli_in(saved, "compare", *runs("sarsa/CliffWalking-v1_1", "sarsa/FrozenLake-v1_1"))
    assert done.returncode == 2
    assert "these runs are in 2 environments: CliffWalking-v1: logs/sarsa/CliffWalking-v1_1; Froz" in done.stderr
    assert "Compare those of one at a time: choose it with --env" in done.stderr


def test_damaged_and_foreign_folders_are_left_out_and_named(saved, cli_in):
    Path(saved / "logs" / "empty").mkdir(exist_ok=True)
    done = cli_in(saved, "compare", *runs("sarsa/CliffWalking-v1_1", "empty", "nothing"), "-o", "one.html")
    assert done.returncode == 0, done.stderr
    assert "left out: logs/empty" in done.stderr
    assert "left out: logs/nothing" in done.stderr
    assert not (saved / "one.png").exists()
    assert cli_in(saved, "compare", "logs/nothing").returncode == 2


def test_flags_of_training_have_no_effect_on_saved_runs(saved, cli_in):
    done = cli_in(saved, "compare", "logs/sarsa/CliffWalking-v1_1", "-tb", "folder")
    assert done.returncode == 2
    assert "-tb has no effect here: saved runs are compared as they are" in done.stderr


def chosen(*paths: object, **flags: list[object]):
    """The runs of each agent that a comparison of saved runs takes, by their folders."""
    typed = {"algo": None, "env": None, "seed": None, **flags}
    found = contenders.saved(Namespace(runs=list(map(str, paths)), **typed))
    return {name: [folder.path.name for folder, _ in runs] for name, runs in found.runs.items()}


def test_a_folder_of_runs_is_all_runs_within_and_flags_choose_among_them(saved):
    logs = saved / "logs"
    q_learners = {f"q-learning alpha=0.{a}": [f"CliffWalking-v1_{k}", f"CliffWalking-v1_{k + 1}"]
                  for a, k in ((1, 1), (5, 3))}  # fmt: skip
    sarsa = {"sarsa": ["CliffWalking-v1_1", "CliffWalking-v1_2"]}
    assert chosen(logs, env=["CliffWalking-v1"]) == {**q_learners, **sarsa}
    assert chosen(logs / "q-learning") == q_learners
    assert chosen(logs, env=["CliffWalking-v1"], algo=["sarsa"], seed=[1]) == {"sarsa": ["CliffWalking-v1_2"]}
    with pytest.raises(UsageError, match=r"in 2 environments: .* choose it with --env"):
        chosen(logs)
    with pytest.raises(UsageError, match="has the seed 7. There is 0, 1"):
        chosen(logs, seed=[7])
    with pytest.raises(UsageError), pytest.warns(RlplayWarning, match="left out: nothing: there is no such folder"):
        chosen(logs, "nothing", seed=[7])
    with pytest.raises(UsageError, match=r"^ppo, dqn: no folder .* but agents. Say: rlplay compare --algo ppo dqn"):
        chosen("ppo", "dqn")


def test_runs_that_are_not_finished_or_repeat_a_seed_are_left_out_and_named(saved, tmp_path):
    copied = [shutil.copytree(saved / "logs/sarsa/CliffWalking-v1_1", tmp_path / f"r_{k}") for k in (1, 2, 3)]
    os.utime(copied[1] / "evaluations.npz", (1, 1))
    with np.load(copied[2] / "evaluations.npz") as old:
        np.savez(copied[2] / "evaluations.npz", **{name: old[name][:1] for name in old.files})
    (copied[2] / "progress.csv").unlink()
    with pytest.warns(RlplayWarning) as said:
        assert chosen(tmp_path) == {"sarsa": ["r_1"]}
    assert [str(one.message) for one in said] == [
        f"left out: {copied[2]}: it is not finished (rlplay train --resume RUN)",
        f"left out: {copied[1]}: a later run has the same agent, hyperparameters and seed",
    ]


def test_what_cannot_be_drawn_or_has_no_curve_ends_no_comparison(saved, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no picture\n here")

    monkeypatch.setattr(contenders, "_film", broken)
    monkeypatch.setattr(contenders, "step_costs", broken)
    whole, empty = RunFolder(saved / "logs/sarsa/CliffWalking-v1_1"), RunFolder(saved / "nothing")
    named = {"sarsa": [(whole, 1.0)], "none": [(empty, 1.0)]}
    compared = contenders.Compared("CliffWalking-v1", {}, named, [])
    (one,), (failed,) = contenders.contenders_of(compared, parser().parse_args(["compare", "logs"]), film=True)
    assert (one.film_words, one.costs, one.settings) == ("ZeroDivisionError: no picture here", None, "")
    assert failed.agent == "none"
    assert failed.reason.endswith("nothing has no evaluations")


def test_failed_runs_stand_on_the_page_and_in_the_table():
    page = comparison(curve("first", [[1, 2, 3]]), curve("second", [[2, 2, 2]]))
    page.failed = [Failure("third", 4, "logs/third_1", "<b>it fell</b>"), Failure("fourth", None, "", "no curve")]
    assert tables.failures(page).rows == [["third", "4", "<b>it fell</b>", "logs/third_1"],
                                          ["fourth", "all", "no curve", ""]]  # fmt: skip
    assert "What failed is not in it." in tables.results(page).caption
    text = render(page)
    assert text.index("<h2>Failed</h2>") < text.index("<h2>Results</h2>")
    assert "&lt;b&gt;it fell" in text


def test_many_agents_have_a_matrix_and_their_pairs_are_folded():
    page = comparison(*(curve(f"agent {i}", [[1, 2, i], [1, 2, i]]) for i in range(12)), paired=True)
    rows = tables.matrix(page).rows
    assert rows[0] == ["1 agent 11", "", *["100"] * 11]
    assert rows[11] == ["12 agent 0", *["0"] * 11, ""]
    assert (page.pairs[0, 1], page.pairs[1, 0]) == ((1, 1, 1), (0, 0, 0))
    text = render(page)
    assert text.count("<details>") == 3  # curves alone, intervals of pairs, differences
    assert (text.count("<polygon"), text.count("class='run")) == (12, 24)  # of each alone
    assert "<td class='p10'>100</td>" in text
    few = render(comparison(*(curve(f"agent {i}", [[1, 2, i], [1, 2, i]]) for i in range(3)), paired=True))
    assert "<details>" not in few
