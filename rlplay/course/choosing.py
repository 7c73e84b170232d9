"""What fits what one has: facts about models and agents, with the reason and the command to begin with.

The same facts answer `rlplay which` and make the table of the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Question: the answers, each with what it means.
QUESTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "goal": (
        "What is there to learn from?",
        {
            "numbers": "targets that are numbers",
            "classes": "targets that are classes (labels)",
            "groups": "no targets; groups of what is alike are wanted",
            "columns": "no targets; fewer or better columns are wanted",
            "rewards": "rewards, for acting well",
            "teacher": "somebody who shows what to do",
        },
    ),
    "data": (
        "What does one example or observation look like?",
        {
            "finite": "one of finitely many states",
            "table": "a few numbers",
            "pictures": "pictures",
            "sequences": "sequences, or what is seen does not say all",
        },
    ),
    "actions": ("What are the actions?", {"discrete": "one of several", "continuous": "real numbers"}),
    "source": (
        "Where do the steps come from?",
        {
            "model": "all probabilities are known",
            "simulator": "an environment that can be played",
            "data": "a record of play, and no environment",
        },
    ),
    "rows": ("How many examples, or steps, can there be?", {}),
}
# Which questions matter for a goal.
ASKED = {
    "numbers": ("data", "rows"), "classes": ("data", "rows"), "groups": ("rows",), "columns": ("data",),
    "rewards": ("data", "actions", "source", "rows"), "teacher": ("data", "actions"),
}  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """What fits, where.

    Attributes:
        goals: answers to "goal" that it serves.
        ids: models or agents, the first one to begin with.
        why: the reason, a sentence.
        command: what to type first.
        first: what to try next, a sentence.
        data, actions, source: the answers it serves; empty for any.
        least, most: examples or steps between which it is at its best.
        lesson: where it is explained.
    """

    goals: tuple[str, ...]
    ids: tuple[str, ...]
    why: str
    command: str
    first: str
    lesson: str
    data: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    least: int = 0
    most: int = 10**12

    def fits(self, given: dict[str, Any]) -> bool:
        """Whether it serves the answers given; what was not answered excludes nothing."""
        if given.get("goal") and given["goal"] not in self.goals:
            return False
        for name in ("data", "actions", "source"):
            answer, served = given.get(name), getattr(self, name)
            if answer and served and answer not in served:
                return False
        return given.get("rows") is None or self.least <= given["rows"] <= self.most


FACTS = (
    Advice(
        ("numbers",), ("gaussian-process", "kernel-ridge"),
        "with a few hundred points it fits smoothly and says how sure it is",
        "rlplay models compare gaussian-process", "Scale the columns; look at the deviation it gives.", "kernels",
        data=("table",), most=2000,
    ),
    Advice(
        ("numbers",), ("ridge", "lasso", "linear-regression"),
        "a line is the first model to try and the one to beat; its weights can be read",
        "rlplay models compare ridge", "Lasso, to see which columns matter.", "linear-models", data=("table",),
    ),
    Advice(
        ("numbers",), ("gradient-boosting", "random-forest", "extra-trees"),
        "trees need no scaling and are the best on most tables",
        "rlplay models compare gradient-boosting", "Cross-validate the number of trees and the size of a leaf.",
        "decision-trees", data=("table",), least=200,
    ),
    Advice(
        ("classes",), ("decision-tree-classifier", "logistic-regression"),
        "both can be read: a tree of depth 3, a weight a column",
        "rlplay models compare logistic-regression", "A tree of depth 3, and look at what it asks.",
        "linear-models", data=("table",),
    ),
    Advice(
        ("classes",), ("svc", "k-neighbors-classifier", "gaussian-nb"),
        "smooth boundaries from few points", "rlplay models compare svc", "Scale the columns first.", "kernels",
        data=("table",), most=20_000,
    ),
    Advice(
        ("classes",), ("gradient-boosting-classifier", "random-forest-classifier", "mlp-classifier"),
        "the best score on tables with many rows", "rlplay models compare gradient-boosting-classifier",
        "Keep validation data aside; stop early.", "decision-trees", data=("table",), least=200,
    ),
    Advice(
        ("classes", "teacher"), ("cnn-classifier",),
        "a small window with the same weights at every place needs few weights and knows all corners",
        "rlplay models compare cnn-classifier", "Few filters first; more when the training error stays high.",
        "convolutions", data=("pictures",), least=500,
    ),
    Advice(
        ("numbers",), ("sequence-forecaster", "encoder-decoder"),
        "it learns from every step what comes next, or the next many steps at once",
        "rlplay models show encoder-decoder", "Compare with repeating the last value; try a window and a tree.",
        "sequence-prediction", data=("sequences",), least=100,
    ),
    Advice(
        ("groups",), ("k-means", "gaussian-mixture", "mini-batch-k-means"),
        "fast, and new points are assigned at once", "rlplay models compare k-means",
        "Scale the columns; a mixture where groups are stretched.", "k-means",
    ),
    Advice(
        ("groups",), ("dbscan", "agglomerative"), "groups of any shape, and noise is told apart",
        "rlplay models compare dbscan", "Choose the distance by looking at neighbours' distances.", "k-means",
        most=20_000,
    ),
    Advice(
        ("columns",), ("pca", "incremental-pca", "fast-ica"),
        "the directions of greatest variance, exact and fast", "rlplay models compare pca",
        "Scale first; keep as many as the task's score needs, not as many as the variance says.",
        "principal-component-analysis", data=("table",),
    ),
    Advice(
        ("columns",), ("autoencoder", "vae", "denoising-autoencoder"), "codes that bend, where lines lose too much",
        "rlplay models compare autoencoder", "PCA first, to know what bending gains.", "autoencoders",
        data=("table", "pictures"),
    ),
    Advice(
        ("columns",), ("lstm-autoencoder", "gru-autoencoder"), "a whole sequence as a few numbers",
        "rlplay models show lstm-autoencoder", "A window of the last steps first.", "lstm-autoencoders",
        data=("sequences",),
    ),
    Advice(
        ("columns",), ("hidden-markov-model",), "the states behind a sequence, and how probable each of them is now",
        "rlplay models show hidden-markov-model", "An agent sees them by --memory hidden-markov-model:6.",
        "models-in-agents", data=("sequences",),
    ),
    Advice(
        ("rewards",), ("value-iteration", "policy-iteration"), "with known probabilities the best policy is computed",
        "rlplay train --algo value-iteration --env FrozenLake-v1 -n 1000",
        "--lock-step, to see it sweep by sweep.", "dynamic-programming", data=("finite",), actions=("discrete",),
        source=("model",),
    ),
    Advice(
        ("rewards",), ("mcts",), "it looks ahead from where it stands, and learns nothing beforehand",
        "rlplay train --algo mcts --env CliffWalking-v1 -params simulations:100 gamma:1 -n 20 --eval-freq -1",
        "More simulations.", "planning", data=("finite", "table"), actions=("discrete",), source=("model", "simulator"),
    ),
    Advice(
        ("rewards",), ("q-learning", "sarsa", "double-q-learning"),
        "a cell a state: nothing can diverge, and it can be read",
        "rlplay train --algo q-learning --env FrozenLake-v1 -n 500000 --seed 0",
        "A schedule for ε: epsilon:lin_1_0.05.",
        "sarsa-and-q-learning", data=("finite",), actions=("discrete",), source=("simulator",),
    ),
    Advice(
        ("rewards",), ("dyna-q", "prioritized-sweeping"), "it learns again and again from the steps it remembers",
        "rlplay train --algo dyna-q --env CliffWalking-v1 -n 5000 --seed 0", "More planning_steps.", "planning",
        data=("finite",), actions=("discrete",), source=("simulator",), most=20_000,
    ),
    Advice(
        ("rewards",), ("linear-sarsa", "linear-q-learning", "true-online-sarsa-lambda"),
        "with 2 to 4 numbers tiles are fast, steady, and run in native code",
        "rlplay train --algo linear-sarsa --env MountainCar-v0 -n 200000 -params gamma:1 epsilon:0 --seed 0",
        "Another basis: --features fourier-basis:3.", "basis-functions", data=("table",), actions=("discrete",),
        source=("simulator",),
    ),
    Advice(
        ("rewards",), ("ppo", "a2c"), "the steadiest of the deep agents, for any actions; steps must be cheap",
        "rlplay train --algo ppo --env CartPole-v1 -n 100000 --seed 0", "Several seeds; then the learning rate.",
        "actor-critic-and-ppo", data=("table", "pictures"), source=("simulator",), least=20_000,
    ),
    Advice(
        ("rewards",), ("ppo", "a2c", "reinforce"), "with recurrent:lstm the policy remembers what it has seen",
        "rlplay train --algo ppo --env rlplay/CartPoleNoVel-v1 -n 100000 -params recurrent:lstm --seed 0",
        "--memory window:4, where the last few steps are enough.", "lstm", data=("sequences",),
        source=("simulator",), least=20_000,
    ),
    Advice(
        ("rewards",), ("ppo", "linear-q-learning", "linear-actor-critic"),
        "with --memory an agent without a memory sees the last steps, or a model of them",
        "rlplay train --algo ppo --env rlplay/CartPoleNoVel-v1 --memory window:4 -n 100000 --seed 0",
        "--memory hidden-markov-model:6, gru-autoencoder:8.", "models-in-agents", data=("sequences",),
        source=("simulator",),
    ),
    Advice(
        ("rewards",), ("dqn", "pqn"), "each step is learned from many times, so it needs fewer than PPO",
        "rlplay train --algo dqn --env CartPole-v1 -n 50000 --seed 0", "double and n_steps; then prioritized.", "dqn",
        data=("table", "pictures"), actions=("discrete",), source=("simulator",), least=10_000,
    ),
    Advice(
        ("rewards",), ("sac", "tqc", "td3"),
        "continuous actions from few steps: replay, and noise or entropy to explore",
        "rlplay train --algo sac --env Pendulum-v1 -n 20000 --seed 0", "gradient_steps, where steps are dear.",
        "actor-critic-and-ppo", data=("table", "pictures"), actions=("continuous",), source=("simulator",), least=5_000,
    ),
    Advice(
        ("rewards",), ("fitted-q", "lspi"), "a few thousand steps, fitted again and again by any regressor",
        "rlplay train --algo fitted-q --env CartPole-v1 -n 3000 -params model:extra-trees train_freq:3000 --seed 0",
        "Trees or neighbours: averages cannot diverge.", "models-in-agents", data=("table",), actions=("discrete",),
        source=("simulator", "data"), most=50_000,
    ),
    Advice(
        ("rewards",), ("cql", "discrete-bcq"), "values of actions that are not in the record are held down",
        "rlplay dataset make --mix random:1 --env CartPole-v1 -n 5000 -o record.rlp",
        "Then rlplay train --algo cql --env CartPole-v1 --dataset record.rlp.", "imitation",
        data=("table",), actions=("discrete",),
        source=("data",),
    ),
    Advice(
        ("rewards",), ("td3-bc", "iql"), "it stays near the actions of the record, and improves on them",
        "rlplay dataset make --mix random:1 --env Pendulum-v1 -n 5000 -o record.rlp",
        "Then rlplay train --algo iql --env Pendulum-v1 --dataset record.rlp.", "imitation",
        data=("table",), actions=("continuous",),
        source=("data",),
    ),
    Advice(
        ("teacher",), ("dagger", "behavior-cloning"),
        "the learner is taught where it goes itself, so errors do not add up",
        "rlplay train --algo dagger --env CartPole-v1 -params teacher:follow-the-pole -n 2000 --seed 0",
        "model:decision-tree-classifier, for a policy that can be read.", "imitation",
        data=("table", "finite", "sequences"),
    ),
)  # fmt: skip


def which(given: dict[str, Any]) -> list[Advice]:
    """What fits, in the order in which to try it.

    Args:
        given: answers by question: goal, data, actions, source, and rows as a number; any may be missing.

    Example:
        >>> [advice.ids[0] for advice in which({"goal": "rewards", "data": "finite", "source": "model"})]
        ['value-iteration', 'mcts']
    """
    return [advice for advice in FACTS if advice.fits(given)]


def table() -> str:
    """All facts as a Markdown table, with links to the lessons from docs/learn."""
    lines = ["| you have | take | since | lesson |", "|---|---|---|---|"]
    for advice in FACTS:
        ids = ", ".join(f"`{name}`" for name in advice.ids)
        place = f"../../rlplay/course/lessons/{advice.lesson}.md"
        lines.append(f"| {_case(advice)} | {ids} | {advice.why} | [{advice.lesson}]({place}) |")
    return "\n".join(lines)


def _case(advice: Advice) -> str:
    """When advice holds, in a few words."""
    words = [" or ".join(advice.goals)]
    words += [" or ".join(part) for part in (advice.data, advice.actions, advice.source) if part]
    if advice.least:
        words.append(f"{advice.least:,} rows and more")
    if advice.most < 10**12:
        words.append(f"up to {advice.most:,} rows")
    return "; ".join(words)
