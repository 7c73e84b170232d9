"""A page for each algorithm and model, generated when the site is built.

From the docstring of its file: idea, equation, symbols, source and deviations. From the learning path: the lessons that
use it, and where it fails. From the table of all models: how good and how fast it is beside its twin. The sources are
read, not imported.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import mkdocs_gen_files

from rlplay.course.choosing import FACTS
from rlplay.course.lesson import Lesson, lessons

sys.path.insert(0, str(Path(__file__).parent))
from docstrings import keep_columns

ROOT = Path(__file__).parents[2]
POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
PARTS = {"supervised": "Supervised models", "unsupervised": "Unsupervised models", "deep": "Deep models"}
# What the numbers of a run mean, by the tag in its logs.
METRICS = {
    "approx_kl": ("how far an update moved the policy; 0.01 to 0.03 is usual for PPO", ("OnPolicyAgent",)),
    "clip_fraction": ("the share of actions that the clip held back", ("OnPolicyAgent",)),
    "entropy_loss": ("minus the entropy: near 0 the policy is certain, perhaps too early", ("OnPolicyAgent",)),
    "explained_variance": ("how well the values know the returns: 1 all, 0 nothing, below 0 worse than a constant",
                           ("OnPolicyAgent",)),
    "value_loss": ("squared error of the values", ("OnPolicyAgent",)),
    "loss": ("what was minimised in the last update", ("OnPolicyAgent", "OffPolicyAgent", "RolloutAgent")),
    "grad_norm": ("length of the gradient before it was cut", ("OnPolicyAgent", "OffPolicyAgent", "RolloutAgent")),
    "td_error": ("mean size of the TD errors of a batch", ("OffPolicyAgent",)),
    "q_mean": ("mean action value of a batch: if it grows without end, values diverge", ("OffPolicyAgent",)),
    "learning_rate": ("the step size of now", ("OnPolicyAgent", "OffPolicyAgent", "RolloutAgent")),
    "largest_change": ("largest change of a value in the last sweep", ("Planner", "TablePlanner")),
}  # fmt: skip


def source(place: str) -> tuple[Path, str]:
    """The file of an entry point, and the name of its class."""
    module, _, name = place.partition(":")
    path = ROOT / Path(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")), name


def described(path: Path, name: str, shared: bool) -> tuple[str, str, list[str]]:
    """First sentence and the rest of what describes it, and the names of its class's bases."""
    tree = ast.parse(path.read_text("utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    module = ast.get_docstring(tree) or ""
    lead, _, rest = module.partition("\n\n")
    node = classes.get(name)
    if shared and node is not None:
        lead = (ast.get_docstring(node) or lead).partition("\n\n")[0]
    bases = [ast.unparse(base) for base in node.bases] if node is not None else []
    return " ".join(lead.split()), rest, bases


def used_in(name: str, class_name: str) -> list[Lesson]:
    """The lessons whose code names it, or whose facts do."""
    found = []
    for one in lessons():
        code = "\n".join(block.text for block in one.blocks if block.runs)
        if re.search(rf"\b{class_name}\(|[\"']{re.escape(name)}[\"':]", code):
            found.append(one)
    explained = {fact.lesson for fact in FACTS if name in fact.ids}
    return sorted({*found, *(one for one in lessons() if one.id in explained)}, key=lambda one: lessons().index(one))


def fails(name: str) -> str:
    """Where it fails, by the lesson that explains it."""
    for fact in FACTS:
        if name in fact.ids:
            one = next(one for one in lessons() if one.id == fact.lesson)
            text = one.path.read_text("utf-8").partition("\n## Where it fails\n")[2].partition("\n## ")[0].strip()
            return re.sub(r"\]\((?:\.\./failures/)?([\w-]+\.md)\)", r"](../learn/\1)", text)
    return ""


def beside_its_twin(name: str) -> list[str]:
    """Its row of the table of all models, under the heading of the table."""
    lines = (ROOT / "docs" / "models.md").read_text("utf-8").splitlines()
    row = next((line for line in lines if line.startswith(f"| `{name}` |")), None)
    if row is None:
        return []
    head = next(line for line in lines if line.startswith("| model |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, row)]
    listed = [f"| {what} | {value} |" for what, value in zip(*cells, strict=True) if value][1:]
    said = "What that means: [the table of all models](../models.md)."
    return ["", "## Beside its twin", "", "| | |", "|---|---|", *listed, "", said]


def page(name: str, place: str, kind: str, shared: bool) -> str:
    """The Markdown of one page."""
    path, class_name = source(place)
    lead, rest, bases = described(path, class_name, shared)
    title, colon, idea = lead.partition(": ")
    if not colon or len(title) > 50:
        title, idea = name, lead
    module = place.partition(":")[0]
    inside = "/".join(module.split(".")) + ("/index.md" if path.name == "__init__.py" else ".md")
    command = f"rlplay show {name}" if kind == "agent" else f"rlplay models compare {name}"
    idea = idea[:1].upper() + idea[1:]
    facts = f"`{name}` · `{command}` · [code and parameters](../reference/{inside})\n{{ .lesson }}"
    text = [f"# {title}", "", facts, "",
            idea, "", keep_columns(rest).rstrip()]  # fmt: skip
    if kind == "model":
        text += beside_its_twin(name)
    measured = [(tag, words) for tag, (words, families) in METRICS.items() if {*families} & {*bases}]
    if measured:
        text += ["", "## What a run measures", "", "| tag | meaning |", "|---|---|"]
        text += [f"| `train/{tag}` | {words} |" for tag, words in measured]
    if words := fails(name):
        text += ["", "## Where it fails", "", words]
    if found := used_in(name, class_name):
        text += ["", "## In the learning path", ""]
        text += [f"* [{one.title}](../learn/{one.id}.md)" for one in found]
    return "\n".join(text) + "\n"


def write_all() -> None:
    """All pages, their index and their menu."""
    groups: dict[str, list[tuple[str, str, str]]] = {"Algorithms": []}
    for name, place in POINTS["rlplay.agents"].items():
        if "/" not in name:
            groups["Algorithms"].append((name, place, "agent"))
    for part, title in PARTS.items():
        for name, place in POINTS["rlplay.models"].items():
            if f".{part}." in place:
                groups.setdefault(title, []).append((name, place, "model"))
    menu = ["* [Algorithms and models](index.md)"]
    index = ["# Algorithms and models", "", "A page each, from its file."]
    places = [place.partition(":")[0] for group in POINTS.values() for place in group.values()]
    for title, entries in groups.items():
        menu.append(f"* {title}")
        index += ["", f"## {title}", "", "| | |", "|---|---|"]
        for name, place, kind in entries:
            shared = places.count(place.partition(":")[0]) > 1
            path, class_name = source(place)
            lead = described(path, class_name, shared)[0].replace("|", "\\|")
            menu.append(f"    * [{name}]({name}.md)")
            index.append(f"| [`{name}`]({name}.md) | {lead} |")
            with mkdocs_gen_files.open(f"algorithms/{name}.md", "w") as file:
                file.write(page(name, place, kind, shared))
            mkdocs_gen_files.set_edit_path(f"algorithms/{name}.md", path)
    for name, lines in (("index", index), ("SUMMARY", menu)):
        with mkdocs_gen_files.open(f"algorithms/{name}.md", "w") as file:
            file.write("\n".join(lines) + "\n")


write_all()
