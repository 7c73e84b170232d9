"""The picture of the layers, drawn from a made-up package: what counts as an import, and what is found wrong."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def drawing(monkeypatch):
    spec = importlib.util.spec_from_file_location("draw_layers", ROOT / "docs" / "draw_layers.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "draw_layers", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    """A package of three layers: top imports middle and low, middle imports low, each in another way."""

    def write(files: dict[str, str], layers: str = '[["p.low"], ["p.middle"], ["p.top", "p.__init__"]]') -> Path:
        (tmp_path / "pyproject.toml").write_text(f"[tool.rlplay]\nlayers = {layers}\n", encoding="utf-8")
        for name, source in files.items():
            path = tmp_path / "p" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return tmp_path

    return write


GOOD = {
    "__init__.py": "",
    "low.py": "import os\n",
    "middle/__init__.py": "",
    "middle/one.py": "def f():\n    from p import low\n    return low\n",
    "middle/two.py": "from . import one\nfrom ..low import os\n",
    "top.py": "from typing import TYPE_CHECKING\nimport p.low\nif TYPE_CHECKING:\n    from p.middle.one import f\n",
}


def test_imports_count_wherever_they_stand(drawing, tree):
    graph = drawing.read_graph(tree(GOOD))
    assert graph.arrows == {("p.middle", "p.low"): 2, ("p.top", "p.low"): 1, ("p.top", "p.middle"): 1}
    assert graph.lines["p.middle"] == 5
    assert graph.modules["p.middle"] == 3
    assert drawing.faults(graph) == []


def test_arrows_up_and_sideways_and_unknown_modules_are_listed(drawing, tree, capsys, tmp_path):
    files = {
        **GOOD,
        "low.py": "def f():\n    import p.top\n",
        "top.py": "import p\n",
        "other/room.py": "from p.middle import one\n",
    }
    picture = tmp_path / "layers.svg"
    assert drawing.main(["--root", str(tree(files)), "-o", str(picture)]) == 1
    said = capsys.readouterr().out.splitlines()[1:]
    assert said == [
        "in no layer: p.other.room",
        "up from p.low to p.top: p.low -> p.top",
        "sideways from p.top to p.__init__: p.top -> p",
    ]
    text = picture.read_text(encoding="utf-8")
    assert drawing.WRONG in text
    assert "in no layer" in text


def test_the_picture_is_the_same_each_time(drawing, tree, tmp_path):
    graph = drawing.read_graph(tree(GOOD))
    for name in ("one.svg", "two.svg"):
        drawing.draw(graph, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert drawing.WRONG not in (tmp_path / "one.svg").read_text(encoding="utf-8")


def test_an_arrow_takes_the_gap_that_makes_it_shortest(drawing):
    height = drawing.ROW
    ways = drawing.route((3.0, 2.5 * height), (1.0, 0.5 * height), {1: [0.0, 1.9, 4.0]})
    assert [x for x, _ in ways] == [3.0, 1.9, 1.0]


def test_the_longest_prefix_is_a_modules_box(drawing):
    prefixes = ["a", "a.b", "a.b.c", "d.__init__"]
    assert [drawing.box_of(name, prefixes) for name in ("a.b.cc", "a.b.c.d", "ab", "d", "d.e")] == [
        "a.b",
        "a.b.c",
        drawing.UNKNOWN,
        "d.__init__",
        drawing.UNKNOWN,
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [("[]", "has no layers"), ('[["p.low"], ["p.low"]]', "p.low stands in the table of layers twice")],
)
def test_a_table_that_cannot_be_right_is_refused(drawing, tree, table, said):
    with pytest.raises(SystemExit, match=said):
        drawing.read_graph(tree(GOOD, table))


def test_the_table_of_a_page_is_written_between_its_marks(drawing, tree, tmp_path):
    files = {**GOOD, "top.py": '"""On top | of all.\n\nMore."""\n' + GOOD["top.py"], "low.py": '"""Lowest."""\n'}
    root = tree(files)
    page = tmp_path / "docs" / "architecture.md"
    page.parent.mkdir()
    page.write_text(f"Before.\n\n{drawing.BEGIN}\nold\n{drawing.END}\n\nAfter.\n", encoding="utf-8")
    assert drawing.main(["--root", str(root)]) == 0
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[:2] + lines[-2:] == ["Before.", "", "", "After."]
    assert "| 3 | `p.top` | On top \\| of all. |" in lines
    assert lines.index("| 1 | `p.low` | Lowest. |") > lines.index("| 3 | `p.top` | On top \\| of all. |")
    assert "old" not in lines


def test_the_table_of_the_architecture_page_is_that_of_the_code(drawing):
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    now = drawing.with_table(page, drawing.table(drawing.read_graph(ROOT), ROOT))
    assert page == now, "run: python docs/draw_layers.py"


def test_every_module_has_a_layer(drawing):
    assert drawing.read_graph(ROOT).unknown == []
