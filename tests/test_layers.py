"""Who may import whom: layers without an upward arrow, modules without a circle. All imports count."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rlplay", "agents", "envs")


@pytest.fixture(scope="module")
def drawing():
    spec = importlib.util.spec_from_file_location("draw_layers", ROOT / "docs" / "draw_layers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["draw_layers"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def arrows(drawing):
    """Each module's imports among our modules: at its top, in functions and for type checkers."""
    modules = drawing.find_modules(ROOT, PACKAGES)
    return {
        name: set(drawing.imported(path.read_text(encoding="utf-8"), name, modules)) - {name}
        for name, path in modules.items()
    }


def test_no_arrow_goes_up_or_sideways(drawing):
    assert drawing.faults(drawing.read_graph(ROOT)) == []


def circles(arrows):
    """The strongly connected components of more than one module (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for after in arrows[node]:
            if after not in index:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], index[after])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in arrows:
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]


def test_modules_import_each_other_in_no_circle(arrows):
    assert circles(arrows) == []


def test_agents_and_envs_take_everything_from_the_public_face(arrows):
    """A plug-in of ours imports as a third party's would."""
    faces = {"rlplay", "rlplay.extend"}
    models = ("rlplay.models", "rlplay.networks")  # public packages, named by their own paths
    strange = {
        (name, target)
        for name, targets in arrows.items()
        for target in targets
        if name.split(".")[0] != "rlplay" and target.split(".")[0] == "rlplay"
        if target not in faces and not target.startswith(models)
    }
    assert not strange


def test_agents_and_envs_never_meet(arrows):
    tops = {(name.split(".")[0], target.split(".")[0]) for name, targets in arrows.items() for target in targets}
    assert not tops & {("agents", "envs"), ("envs", "agents"), ("rlplay", "agents"), ("rlplay", "envs")}


def test_numba_is_known_in_two_folders_and_its_private_parts_in_files_of_its_name():
    named = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            words = [line.split()[1] for line in lines if line.lstrip().startswith(("import numba", "from numba"))]
            if words:
                named[path.relative_to(ROOT).as_posix()] = words
    assert all(name.startswith(("rlplay/compiled/", "rlplay/networks/")) for name in named), named
    private = {name for name, words in named.items() if any(word.startswith("numba.core") for word in words)}
    assert private
    assert all(name.startswith("rlplay/compiled/numba_") for name in private), private
