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
PLAYGROUNDS = {
    "decision-tree-classifier", "random-forest-classifier", "extra-trees-classifier", "gradient-boosting-classifier",
    "k-neighbors-classifier", "mlp-classifier", "logistic-regression", "svc", "k-means", "gaussian-mixture",
    "autoencoder", "denoising-autoencoder", "vae",
}  # fmt: skip
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
# The lesson about the family of those that no fact names.
FAMILY = {
    "bandits": ("epsilon-greedy", "ucb", "gradient-bandit", "thompson-sampling", "lin-ucb",
                "linear-thompson-sampling", "model-bandit"),
    "dynamic-programming": ("policy-evaluation", "real-time-dp"),
    "monte-carlo": ("monte-carlo", "off-policy-monte-carlo"),
    "temporal-difference": ("td-prediction", "n-step-sarsa"),
    "sarsa-and-q-learning": ("expected-sarsa", "double-sarsa", "differential-sarsa"),
    "eligibility-traces": ("sarsa-lambda", "watkins-q-lambda"),
    "planning": ("dyna-q-plus",),
    "function-approximation": ("gradient-td", "emphatic-td", "lstd"),
    "dqn": ("discrete-sac", "ddpg", "recurrent-dqn"),
    "policy-gradients": ("reinforce", "ars", "cem", "evolution-strategies"),
    "actor-critic-and-ppo": ("trpo", "linear-actor-critic"),
    "models-in-agents": ("neural-fitted-q", "gp-sarsa", "episodic-control"),
    "imitation": ("discrete-iql",),
    "linear-models": ("elastic-net", "polynomial-features", "sgd-regressor", "sgd-classifier", "perceptron"),
    "nearest-neighbours": ("k-neighbors-regressor", "nearest-centroid"),
    "decision-trees": ("decision-tree", "extra-trees-classifier"),
    "optimisers": ("standard-scaler", "min-max-scaler", "robust-scaler", "mlp"),
    "principal-component-analysis": ("kernel-pca",),
    "k-means": ("self-organising-map",),
    "kernels": ("random-fourier", "nystroem"),
    "basis-functions": ("tile-coding", "fourier-basis", "rbf-grid"),
    "autoencoders": ("random-network-distillation",),
    "sequence-prediction": ("hidden-markov-model",),
}  # fmt: skip
# The textbook's figure that shows an algorithm, as `rlplay figure` computes it.
FIGURES = {
    "ucb": "bandit-parameters", "gradient-bandit": "bandit-gradient", "off-policy-monte-carlo": "importance-sampling",
    "sarsa": "windy-gridworld", "expected-sarsa": "cliff-step-sizes", "double-q-learning": "maximization-bias",
    "double-sarsa": "maximization-bias", "n-step-sarsa": "n-steps", "dyna-q": "dyna-maze",
    "dyna-q-plus": "blocking-maze", "prioritized-sweeping": "prioritized-sweeping", "real-time-dp": "racetrack",
}  # fmt: skip
PICTURES = ROOT / "docs" / "images"
# What the columns of the table of all models mean on a page of their own.
COLUMNS = {
    "checks": "scikit-learn's own checks that pass, of those that apply",
    "same answers": "greatest difference from the twin's answers, from the same start",
    "score": "our score, mean of five folds", "twin's": "the twin's score",
    "fit": "fitting: times as fast as the twin", "predict": "predicting: times as fast as the twin",
    "one row": "predicting one row in native code: times as fast as the twin",
    "memory, ours / twin's": "memory while fitting, MiB: ours / the twin's",
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


def explained(name: str) -> tuple[Lesson | None, bool]:
    """The lesson that explains it, and whether it is about its whole family."""
    by_id = {one.id: one for one in lessons()}
    for fact in FACTS:
        if name in fact.ids:
            return by_id[fact.lesson], False
    return next((by_id[one] for one, names in FAMILY.items() if name in names), None), True


def fails(one: Lesson) -> str:
    """Where it fails, by the lesson that explains it."""
    text = one.path.read_text("utf-8").partition("\n## Where it fails\n")[2].partition("\n## ")[0].strip()
    return re.sub(r"\]\((?:\.\./failures/)?([\w-]+\.md)\)", r"](../learn/\1)", text)


def figure(name: str, kind: str, known: list[Lesson]) -> list[str]:
    """A picture that an executed run has drawn, and the command or the lesson that draws it."""
    drawn = FIGURES.get(name, name)
    if (PICTURES / "pages" / f"{drawn}.png").exists():
        command = f"rlplay figure {drawn}" if kind == "agent" else f"rlplay models compare {name}"
        what = "A figure of the textbook, computed anew" if kind == "agent" else "Ours beside the library's"
        picture, words = f"../images/pages/{drawn}.png", f"{what}: `{command}` draws it."
    elif name == "mcts":
        picture, words = "../images/gallery/mcts.png", "What the search sees, in the window of `rlplay watch`."
    else:
        one = next((one for one in known if (PICTURES / "learn" / f"{one.id}.png").exists()), None)
        if one is None:
            return []
        picture = f"../images/learn/{one.id}.png"
        words = f"From the lesson [{one.title}](../learn/{one.id}.md), whose code draws it."
    return ["", f"![{name}]({picture})", "", words]


def beside_its_twin(name: str) -> list[str]:
    """Its row of the table of all models, under the heading of the table."""
    lines = (ROOT / "docs" / "models.md").read_text("utf-8").splitlines()
    row = next((line for line in lines if line.startswith(f"| `{name}` |")), None)
    if row is None:
        return []
    head = next(line for line in lines if line.startswith("| model |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, row)]
    listed = [f"| {COLUMNS.get(what, what)} | {value} |" for what, value in zip(*cells, strict=True) if value][1:]
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
    found, (about, _) = used_in(name, class_name), explained(name)
    text += figure(name, kind, [*([about] if about else []), *found])
    if name in PLAYGROUNDS:
        text += ["", f"Step by step, in a window: `rlplay models play {name}`."]
    if kind == "model":
        text += beside_its_twin(name)
    measured = [(tag, words) for tag, (words, families) in METRICS.items() if {*families} & {*bases}]
    if measured:
        text += ["", "## What a run measures", "", "| tag | meaning |", "|---|---|"]
        text += [f"| `train/{tag}` | {words} |" for tag, words in measured]
    lesson, family = explained(name)
    if lesson is not None and (words := fails(lesson)):
        whose = ["", f"What [{lesson.title}](../learn/{lesson.id}.md) says of its family:"] if family else []
        text += ["", "## Where it fails", *whose, "", words]
    if found:
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
