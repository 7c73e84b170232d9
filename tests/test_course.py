"""The learning path: lessons run and print what they record, exercises check themselves, progress survives."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlplay import registry
from rlplay.cli.arguments import parser
from rlplay.course import choosing, lesson, lessons
from rlplay.course import progress as kept
from rlplay.course.lesson import PARTS
from rlplay.course.notebook import as_text, notebook
from rlplay.course.pages import page
from rlplay.course.running import Session, difference, pairs
from rlplay.errors import RlplayError, RlplayWarning

ROOT = Path(__file__).parents[1]
PATH = [one for one in lessons() if one.part != "museum of failures"]
MUSEUM = [one for one in lessons() if one.part == "museum of failures"]
# Lessons that run in a second or two from an empty compile cache; the others: `pytest -m slow tests/test_course.py`.
QUICK = ("derivatives", "chain-rule", "vectors", "markov-decision-processes", "too-large-a-learning-rate")
HEADINGS = ("The idea", "Step by step", "In our code", "In the library", "In an agent", "Where it fails")


@pytest.fixture(autouse=True)
def _own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("RLPLAY_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize(
    "one",
    [pytest.param(one, id=one.id, marks=[] if one.id in QUICK else [pytest.mark.slow]) for one in lessons()],
)
def test_a_lesson_runs_and_prints_what_it_records(one, tmp_path):
    session = Session(tmp_path)
    for block, recorded in pairs(one):
        printed = session.printed(block.text, f"{one.id}.md")
        if recorded is None:
            assert not printed.strip(), f"printed {printed!r}: python docs/run_lessons.py {one.id} --write"
        else:
            assert difference(printed, recorded) is None
    drawn = {path.name for path in tmp_path.glob("*.png")}
    shown = set(re.findall(r"docs/images/learn/([\w-]+\.png)", one.path.read_text(encoding="utf-8")))
    assert drawn == shown


@pytest.mark.parametrize("one", PATH, ids=lambda one: one.id)
def test_a_lesson_has_all_its_parts(one):
    text = one.path.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert [heading for heading in headings if heading in HEADINGS] == list(HEADINGS)
    assert headings[-1] == "Exercises"
    assert {exercise.kind for exercise in one.exercises} == {"predict", "fill"}
    assert all(exercise.why for exercise in one.exercises)
    assert any("assert" in block.text for block in one.blocks if block.runs)
    assert 10 <= one.minutes <= 20
    before = {other.id for other in PATH[: PATH.index(one)]}
    assert set(one.needs) <= before, "a lesson needs only what comes before it"


@pytest.mark.parametrize("one", MUSEUM, ids=lambda one: one.id)
def test_a_failure_stands_beside_its_cure(one):
    headings = re.findall(r"^## (.+)$", one.path.read_text(encoding="utf-8"), re.M)
    assert headings == ["The failure", "Why", "The cure"]


def test_the_path_has_its_parts_in_their_order():
    order = [PARTS.index(one.part) for one in lessons()]
    assert order == sorted(order)
    assert set(order) == set(range(len(PARTS)))
    assert len({one.title for one in lessons()}) == len(lessons())
    named = {"batch-sizes", "lstm-autoencoders", "sequence-prediction", "encoder-decoder-lstms"}  # asked for by name
    assert named <= {one.id for one in PATH}


@pytest.mark.parametrize("one", lessons(), ids=lambda one: one.id)
def test_links_of_a_lesson_lead_somewhere(one):
    words = re.sub(r"^```.*?^```$", "", one.path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#]+)\)", words):
        assert target.startswith("http") or (one.path.parent / target).exists(), target


def _progress(**changed):
    return json.dumps({"version": 1, "read": [], "right": {}, "tries": {}, "seconds": {}} | changed)


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"version": 1}', '{"version": 0, "read": []}', "\x00\xff", "9" * 5000, "[" * 200_000,
        " " * 5_000_000,
        _progress(read="vectors"), _progress(read=[1]), _progress(right={"vectors": "123"}), _progress(tries=[1]),
        _progress(right={"vectors": [0]}), _progress(right={"vectors": [1.5]}), _progress(tries={"vectors 1": -5}),
        _progress(seconds={"vectors": math.nan}), _progress(seconds={"vectors": math.inf}),
        _progress(seconds={"vectors": -4e9}),
    ],
    ids=lambda text: text[-40:],
)  # fmt: skip
def test_a_damaged_progress_file_is_put_aside(text):
    path = kept.progress_file()
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="latin-1")
    with pytest.warns(RlplayWarning, match="put aside as learn.json.damaged"):
        assert kept.load() == kept.Progress()
    assert path.with_name("learn.json.damaged").read_text(encoding="latin-1") == text


def test_exercises_that_a_lesson_does_not_have_are_not_counted():
    assert not kept.Progress(["vectors"], {"vectors": [1, 2, 77]}).is_done(lesson("vectors"))
    assert kept.Progress(["vectors"], {"vectors": [1, 2, 3, 77]}).is_done(lesson("vectors"))


@pytest.mark.skipif(os.name == "nt", reason="no pipes with names")
def test_a_pipe_in_place_of_the_progress_is_not_waited_for(rlplay):
    kept.progress_file().parent.mkdir(parents=True)
    os.mkfifo(kept.progress_file())
    code, _, err = rlplay("learn")
    assert code == 1
    assert "it is no regular file" in err


def test_a_progress_file_of_a_later_version_is_left_as_it_is():
    path = kept.progress_file()
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 99}')
    with pytest.raises(RlplayError, match="is of version 99"):
        kept.load()
    assert path.read_text() == '{"version": 99}'


@pytest.mark.filterwarnings("default")
def test_a_folder_that_cannot_be_written_ends_no_lesson(rlplay, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RLPLAY_DATA_DIR", str(tmp_path / "file"))
    code, out, err = rlplay("learn", "derivatives", "--exercise", "1", "--answer", "12")
    assert (code, "3 · 2² = 12" in out) == (0, True)
    assert "progress is not kept" in err
    assert "Set RLPLAY_DATA_DIR to a folder of your own" in err
    assert "Not a directory" in rlplay("learn")[2]


def test_progress_is_kept_and_the_next_lesson_is_known(rlplay):
    first, second = PATH[:2]
    assert f"next: rlplay learn {first.id}" in rlplay("learn")[1]
    for exercise, given in zip(first.exercises, ("5", "100 3", "np.sqrt(apart @ apart)"), strict=True):
        code, out, _ = rlplay("learn", first.id, "--exercise", str(exercise.number), "--answer", given)
        assert (code, out.startswith("right")) == (0, True)
    assert rlplay("learn", first.id, "--exercise", "1", "--answer", "7")[0] == 1  # right stays right
    held = json.loads(kept.progress_file().read_text())
    assert held["right"] == {first.id: [1, 2, 3]}
    done = kept.load()
    done.went_through(first.id, 61.0)
    kept.save(done)
    out = rlplay("learn")[1]
    assert "done" in out
    assert f"next: rlplay learn {second.id}" in out
    assert "was put aside" not in out
    for old in ("learn.json.old", "learn.json.old2"):  # forgetting twice keeps both
        assert old in rlplay("learn", "--forget")[1].replace("\n", "")
        assert f"next: rlplay learn {first.id}" in rlplay("learn")[1]
        kept.save(kept.Progress([first.id]))


def test_terminals_do_not_overwrite_each_other():
    names = [one.id for one in PATH[:12]]
    with ThreadPoolExecutor(6) as terminals:
        list(terminals.map(lambda name: kept.update(lambda done: done.went_through(name, 1.0)), names))
    assert sorted(kept.load().read) == sorted(names)


def test_the_answer_is_shown_when_it_is_asked_for(rlplay):
    code, out, _ = rlplay("learn", "derivatives", "--exercise", "1", "--answer", "?")
    assert (code, "the rule gives 3 x²" in out) == (0, True)
    assert kept.load() == kept.Progress()


def test_a_page_hides_the_code_of_a_prediction():
    text = page(lesson("derivatives"))
    question = text[text.index("### The slope of x³") :].partition("<details")[0]
    assert "answer =" not in question
    assert text.count('title="predict, then run"') == 2


def test_a_lesson_in_a_pipe_shows_all_and_runs(rlplay):
    code, out, err = rlplay("learn", "chain-rule")
    assert (code, err) == (0, "")
    assert "gradient: [8.0, 3.0]" in out
    assert "rlplay learn chain-rule --exercise 3 --answer" in out
    assert "<details" not in out
    assert "2 * (y - t) * x" not in out  # answers come after one's own
    assert "2 * 3**2" not in out  # nor does the code of a prediction give it away
    assert "chain-rule" in kept.load().read


def test_a_block_that_stops_is_said_in_a_line(rlplay, monkeypatch):
    def fail(*_):
        raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr(Session, "run", fail)
    code, _, err = rlplay("learn", "chain-rule")
    assert code == 1
    assert "a block of chain-rule stopped: ModuleNotFoundError: No module named 'torch'" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("derivtives",), "Did you mean derivatives?"),
        (("derivatives", "--exercise", "9", "--answer", "1"), "has no exercise 9"),
        (("derivatives", "--exercise", "1"), "there is no --answer"),
        (("--answer", "1"), "no lesson is named"),
        (("derivatives", "--answer", "-slope"), "follows an equals sign: --answer=-slope"),
        (("--notebook",), "--notebook needs a lesson"),
        (("0",), "unknown lesson"),
    ],
)
def test_wrong_usage_says_the_way_out(rlplay, words, said):
    code, _, err = rlplay("learn", *words)
    assert code == 2
    assert said in err


def test_a_student_at_a_terminal(tmp_path):
    """Enter runs a block, a wrong answer is told, ? explains, q keeps what was done."""
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    env = {**os.environ, "RLPLAY_DATA_DIR": str(tmp_path), "TERM": "dumb", "COLUMNS": "100"}
    command = [sys.executable, "-m", "rlplay", "learn", "chain-rule"]
    running = subprocess.Popen(
        command, stdin=other, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=True
    )
    blocks = sum(block.runs for block in lesson("chain-rule").blocks)
    os.write(main, b"\n" * 2 + b"s\n" * (blocks - 2) + b"7\n12\n?\nq\n")
    out, _ = running.communicate(timeout=120)
    os.close(main)
    os.close(other)
    assert running.returncode == 0, out
    assert "gradient: [8.0, 3.0]" in out
    assert "not yet: 7 is too small" in out
    assert "ended here; what was answered is kept" in out
    held = json.loads((tmp_path / "learn.json").read_text())
    assert held["read"] == ["chain-rule"]
    assert held["right"] == {"chain-rule": [1]}
    assert held["tries"] == {"chain-rule 1": 2}


@pytest.mark.parametrize("one", lessons(), ids=lambda one: one.id)
def test_the_notebook_has_all_of_the_lesson(one):
    made = notebook(one)
    code = ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code"]
    for block, cell in zip((block for block in one.blocks if block.runs), code, strict=False):
        assert cell.startswith(block.text.strip())
        pictures = re.findall(r'savefig\("([^"]+)"', block.text)
        assert re.findall(r'display\(Image\("([^"]+)"', cell) == pictures
    assert sum("check(" in text for text in code) == len(one.exercises)
    ids = [cell["id"] for cell in made["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]{1,64}", name) for name in ids)
    if nbformat := sys.modules.get("nbformat"):
        nbformat.validate(made)


@pytest.mark.slow
def test_a_notebook_client_runs_a_notebook(tmp_path):
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name in ("derivatives", "chain-rule", "losses"):
        made = nbformat.reads(as_text(lesson(name)), as_version=4)
        nbformat.validate(made)
        client.NotebookClient(made, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
        printed = "".join(
            output.get("text", "") for cell in made.cells if cell.cell_type == "code" for output in cell.outputs
        )
        assert printed.count("there is no answer yet") == 3
        pictures = [
            output
            for cell in made.cells
            for output in cell.get("outputs", ())
            if "image/png" in str(output.get("data"))
        ]
        assert pictures or name != "losses"


def test_the_page_of_the_path_lists_all_lessons():
    from rlplay.course.pages import path_table

    text = (ROOT / "docs" / "learn" / "README.md").read_text(encoding="utf-8")
    assert path_table() in text, "python docs/run_lessons.py --table"
    assert choosing.table() in text, "python docs/run_lessons.py --table"


def test_facts_name_what_there_is(rlplay):
    known = {*registry.agent_ids(), *registry.model_ids()}
    for advice in choosing.FACTS:
        assert set(advice.ids) <= known
        assert lesson(advice.lesson)
        words = shlex.split(advice.command)
        parser().parse_args(words[1:])
        assert set(words) & set(advice.ids) or "dataset" in words
    for goal, asked in choosing.ASKED.items():
        assert choosing.which({"goal": goal})
        for name in asked:
            for answer in choosing.QUESTIONS[name][1]:
                code, out, err = rlplay("which", "--goal", goal, f"--{name}", answer)
                assert code in (0, 2)
                assert out or "nothing here fits" in err


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("--goal numbers --data table --rows 300", "gaussian-process"),
        ("--goal numbers --data table --rows 100000", "ridge"),
        ("--goal classes --data pictures", "cnn-classifier"),
        ("--goal groups", "k-means"),
        ("--goal rewards --data finite --source model", "value-iteration"),
        ("--goal rewards --data table --actions continuous --source simulator --rows 8000", "sac"),
        ("--goal rewards --data pictures --actions discrete --source simulator", "ppo"),
        ("--goal rewards --source data --actions continuous", "td3-bc"),
        ("--goal teacher --data table", "dagger"),
    ],
)
def test_which_begins_with_what_fits(rlplay, words, first):
    code, out, _ = rlplay("which", *words.split())
    assert code == 0
    assert out.split()[:3] == ["begin", "with", first]


def test_which_without_a_goal_says_what_there_is(rlplay):
    code, _, err = rlplay("which")
    assert code == 2
    assert "--goal is missing: numbers, classes" in err


@pytest.mark.slow
@pytest.mark.parametrize("advice", choosing.FACTS, ids=lambda advice: advice.ids[0])
def test_the_command_of_a_fact_runs(advice, cli):
    words = shlex.split(advice.command)[1:]
    if "train" in words:
        words[words.index("-n") + 1] = "400"
        words = [word.replace("train_freq:3000", "train_freq:400") for word in words]
    done = cli(*words)
    assert done.returncode == 0, done.stderr
