"""Exercises of the learning path: right answers are taken however they are written, and no slip is."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

from rlplay.course import judge as judging
from rlplay.course import lesson, lessons
from rlplay.course.lesson import GAP
from tests.mutants import mutants

EXERCISES = [
    pytest.param(one, exercise, id=f"{one.id}-{exercise.number}") for one in lessons() for exercise in one.exercises
]


@pytest.mark.parametrize(("one", "exercise"), EXERCISES)
def test_an_exercise_takes_its_answer_and_no_other(one, exercise):
    if exercise.kind == "fill":
        assert judging._filled_in(exercise.code, exercise.answer, exercise.answer)[0]
        assert judging.refused(judging.filled(exercise.code, exercise.answer)) is None
        for wrong in ("None", "12345.678"):
            right, words = judging._filled_in(exercise.code, wrong, exercise.answer)
            assert not right
            assert words
        return
    space = {"__name__": "exercise"}
    exec(exercise.code, space)
    answer = space["answer"]
    if isinstance(answer, bool) or type(answer).__name__ == "bool":
        assert judging._predicted(exercise.code, "yes" if answer else "no")[0]
        assert not judging._predicted(exercise.code, "no" if answer else "yes")[0]
        assert exercise.why.lower().startswith(("yes", "no")) or "does not" in exercise.why or ":" in exercise.why
        return
    if isinstance(answer, str):
        assert judging._predicted(exercise.code, answer)[0]
        assert answer.lower() in exercise.why.lower()
        return
    numbers = judging._flat(answer)
    assert judging._predicted(exercise.code, " ".join(f"{x:.6g}" for x in numbers))[0]
    assert not judging._predicted(exercise.code, " ".join(f"{x + 1 + abs(x):.6g}" for x in numbers))[0]
    said = [float(x.replace(",", "")) for x in re.findall(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?", exercise.why)]
    spelled = {1 / 4: "1/4"}
    for number in numbers:
        near = any(abs(x - number) <= 0.01 * abs(number) + 1e-6 for x in said)
        assert near or spelled.get(number, "?") in exercise.why, f"the explanation does not say {number:.6g}"


# What a slip gives: one too few, a sign, a step that was left out, half of a rule.
SLIPS = [
    ("batch-sizes", 1, "156"),
    ("planning", 1, "500"),
    ("bandits", 1, "0.9"),
    ("markov-decision-processes", 2, "99"),
    ("encoder-decoder-lstms", 1, "2.678"),
    ("lstm", 2, "0.1353"),
    ("kernels", 2, "99990000"),
    ("imitation", 2, "teacher"),
    ("derivatives", 3, "str(x - alpha * slope)"),
    ("derivatives", 3, "complex(x - alpha * slope)"),
    ("derivatives", 3, "10**10**4"),
    ("actor-critic-and-ppo", 3, "min(ratio, 1 + clip)"),
    ("actor-critic-and-ppo", 3, "1 + clip"),
    ("actor-critic-and-ppo", 3, "min(max(ratio, 1), 1 + clip)"),
    ("lstm-autoencoders", 3, "usual_errors.mean() + 2 * usual_errors.std()"),
    ("lstm-autoencoders", 3, "usual_errors.max() + 3 * usual_errors.std()"),
    ("function-approximation", 3, "w + alpha * (r - w @ x) * x"),
    ("lstm", 3, "(1 - z) / n + z * h"),
    ("principal-component-analysis", 3, "(x - mean) @ abs(V)"),
    ("attention", 3, "K @ abs(q) / np.sqrt(len(q))"),
    ("temporal-difference", 3, "r ** 2 + gamma * target"),
    ("linear-models", 3, "np.sign(z) * max(abs(z) - t ** 2, 0.0)"),
    ("losses", 3, "z - z.mean()"),
    ("losses", 3, "abs(z) - z.max()"),
    ("dqn", 3, "target_next[abs(q_next).argmax()]"),
    ("eligibility-traces", 3, "np.add(v, alpha * delta * z, out=v)"),
]


@pytest.mark.parametrize(("name", "number", "given"), SLIPS)
def test_a_slip_is_no_answer(name, number, given):
    exercise = lesson(name).exercises[number - 1]
    if exercise.kind == "predict":
        right, words = judging._predicted(exercise.code, given)
    else:
        right, words = judging._filled_in(exercise.code, given, exercise.answer)
    assert not right
    assert words


@pytest.mark.slow
@pytest.mark.parametrize(("one", "exercise"), [case for case in EXERCISES if case.values[1].kind == "fill"])
def test_the_cases_of_an_exercise_tell_its_answer_from_others(one, exercise):
    """An answer with one sign, operand, name or number changed, that passes the cases, is the same on others too."""
    name = re.findall(r"^def (\w+)", exercise.code.partition(GAP)[0], re.M)[-1]
    ours, cases = judging._function(judging.filled(exercise.code, exercise.answer), name)
    rng = np.random.default_rng(0)
    others = [_moved(rng, case) for case in cases for _ in range(8)]
    with np.errstate(all="ignore"):
        for given in mutants(exercise.answer, exercise.code.replace(GAP, "...")):
            if judging._filled_in(exercise.code, given, exercise.answer)[0]:
                theirs, _ = judging._function(judging.filled(exercise.code, given), name)
                for case in others:
                    assert judging._same(theirs(*copy.deepcopy(case)), ours(*copy.deepcopy(case))), given


def _moved(rng, value):
    """A case with its numbers a little larger or smaller, their signs kept."""
    if isinstance(value, list | tuple):
        return type(value)(_moved(rng, one) for one in value)
    if isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
        return value * rng.uniform(0.8, 1.2, np.shape(value))
    return value


@pytest.mark.parametrize(
    ("name", "number", "given"),
    [
        ("sequence-prediction", 2, "4,900"),
        ("kernels", 2, "100,000,000"),
        ("sequence-prediction", 1, "5 and 7"),
        ("temporal-difference", 2, "\u22123"),
        ("temporal-difference", 2, "- 3"),
        ("imitation", 2, "The learner."),
        ("neuron", 2, "No."),
        ("planning", 2, ".73"),
        ("losses", 1, "1.39"),
    ],
)
def test_a_right_prediction_may_be_written_otherwise(name, number, given):
    assert judging._predicted(lesson(name).exercises[number - 1].code, given)[0]


@pytest.mark.parametrize(
    ("name", "number", "given", "words"),
    [
        ("bandits", 1, "0.9", "0.9 is too small, or rounded: give three digits"),
        ("losses", 1, "ln 4", "'ln 4' is not a number: give one such as 1.5, 3/4 or 20%, worked out"),
        ("losses", 1, "1,386", "1,386 has a comma: decimals stand behind a point, 1.386"),
        ("generalisation", 1, "Model A", "it is not Model A: one word is wanted"),
        ("derivatives", 1, "17", "17 is too large"),
        ("derivatives", 1, "nan", "nan is no number"),
        ("vectors", 2, "100 2", "2 is too small"),
        ("neuron", 2, "y", "it is not y"),
    ],
)
def test_what_is_amiss_with_a_prediction_is_said_and_not_the_answer(name, number, given, words):
    assert judging._predicted(judging.exercise_of(name, number).code, given) == (False, words)


FILL = lesson("derivatives").exercises[2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x + alpha * slope", "gives 13, ours gives 7 (a difference of 6)"),
        ("x -", "not Python yet"),
        ("x - alpha * slop", "there is no slop here; did you mean slope? There are alpha, slope, x"),
        ("np.add(x, slope)", "this block does not import numpy, so there is no np: plain arithmetic is enough here"),
        ("1 / 0", "ZeroDivisionError"),
        ("__import__('os').getcwd()", "it uses __import__"),
        ("0; import socket", "it imports socket"),
        ("(lambda f: f(f))(lambda f: f(f))", "RecursionError"),
        ("", "no answer yet"),
        ("___", "no answer yet"),
        ("'x' * 3", "gives xxx"),
    ],
)
def test_a_wrong_answer_is_told_in_plain_words(given, words):
    verdict = judging.judge(FILL, given)
    assert not verdict.right
    assert words in verdict.words


def test_an_answer_that_loops_for_ever_is_stopped():
    verdict = judging.judge(FILL, "sum(1 for _ in iter(int, 1))", limit=2.0)
    assert verdict == judging.Verdict(False, "stopped after 2 s: does it loop for ever?")


def test_what_stands_around_the_gap_may_be_typed_again():
    assert judging.judge(FILL, "return x - slope * alpha").right
    whole = "return np.array([x[i : i + len(w)] @ w for i in range(places)])"
    assert judging.judge(lesson("convolutions").exercises[2], whole).right


def test_files_that_lie_where_a_learner_works_are_not_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('mine')")
    assert judging.judge(lesson("vectors").exercises[0], "5").right


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("k-means", "[int(row.argmin()) for row in squares]"),
        ("basis-functions", "(x + shift) * tiles // 1"),
        ("linear-models", "z - np.clip(z, -t, t)"),
        ("actor-critic-and-ppo", "sorted((1 - clip, ratio, 1 + clip))[1]"),
        ("batch-sizes", "np.average(losses, weights=sizes)"),
        ("attention", "[k @ q / len(q) ** 0.5 for k in K]"),
        ("models-in-agents", "np.where(terminated, r, r + gamma * q_next.max(1))"),
        ("vectors", "np.linalg.norm(apart)"),
        ("markov-decision-processes", "v[after] * (1 - terminated)"),
        ("policy-gradients", "[advantage * ((k == a) - p[k]) for k in range(len(p))]"),
    ],
)
def test_a_right_line_may_be_another_one(name, given):
    exercise = lesson(name).exercises[2]
    assert judging._filled_in(exercise.code, given, exercise.answer) == (True, judging._filled_in(
        exercise.code, exercise.answer, exercise.answer)[1])  # fmt: skip
