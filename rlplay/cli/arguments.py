"""All verbs and their flags. RL Zoo's names; the same flag means the same in every verb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich_argparse import RawDescriptionRichHelpFormatter

from rlplay.cli.reading import READ, Parser, count, frequency, none_or_more, size, text, whole, workers

_EPILOG = """examples:
  rlplay demo                                                   see an agent learn, in under a minute
  rlplay train --algo q-learning --env FrozenLake-v1 -n 2000000 --seed 0
  rlplay watch --algo q-learning --env FrozenLake-v1
  rlplay eval  --algo q-learning --env FrozenLake-v1 --eval-episodes 100
  rlplay train --algo sarsa --env my_package.my_module:MyEnv --watch
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = Parser(
        prog="rlplay",
        description="A reinforcement-learning gym playground: train agents, watch them, read how they work.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    RawDescriptionRichHelpFormatter.help_markup = False  # "[first, second]" in a help text is no style
    top.add_argument("--version", action="version", version=_version())
    verbs = top.add_subparsers(dest="verb", metavar="verb", required=True, parser_class=Parser)
    for name, (module, help_text, add) in _VERBS.items():
        verb = verbs.add_parser(name, help=help_text, description=help_text, formatter_class=top.formatter_class)
        verb.set_defaults(module=module)
        for kind, read in READ.items():
            verb.register("type", kind, read)
        add(verb)
        verb.add_argument("--debug", action="store_true", help="show tracebacks")
    top.verbs = verbs.choices
    return top


def _version() -> str:
    from rlplay import __version__

    return f"rlplay {__version__}"


def _common(verb: argparse.ArgumentParser, *, dynamics: bool = False) -> None:
    """What is run, and where runs live: the same in every verb. What is shown runs Gymnasium's dynamics."""
    what = verb.add_argument_group("agent and environment")
    what.add_argument(
        "--algo", nargs="+", action="extend", metavar="ID", help="agent, see `rlplay list agents` (several make a grid)"
    )
    what.add_argument(
        "--env",
        nargs="+",
        action="extend",
        metavar="ID",
        help="environment id, module:id or package.module:Class (several make a grid)",
    )
    _making(what)
    what.add_argument(
        "--seed", nargs="+", action="extend", type=int, default=None, metavar="N", help="seed (several make a grid)"
    )
    if dynamics:
        what.add_argument(
            "--dynamics",
            choices=["auto", "native", "gymnasium"],
            help="whose dynamics run: compiled from the transition table, or Gymnasium's own (default: auto)",
        )
    where = verb.add_argument_group("files")
    where.add_argument("-f", "--log-folder", type=Path, metavar="DIR", help="folder of runs (default: logs)")
    where.add_argument("-i", "--trained-agent", metavar="FILE", help="a saved agent (.rlp) or a run folder")
    where.add_argument("--exp-id", type=int, metavar="K", help="number of the run (default: the newest)")
    which = where.add_mutually_exclusive_group()
    which.add_argument("--load-best", action="store_true", help="take the best checkpoint in place of the last")
    which.add_argument("--load-checkpoint", type=int, metavar="N", help="take the checkpoint of N timesteps")


def _making(group: Any) -> None:
    """How an environment is made: the same in every verb that makes one."""
    group.add_argument(
        "--env-kwargs",
        nargs="+",
        action="extend",
        default=[],
        metavar="K:V",
        help="arguments of the environment, e.g. map:cliff",
    )
    group.add_argument(
        "--wrapper",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="wrappers, the innermost first: module.Class or 'module.Class: {argument: value}'",
    )
    group.add_argument("--frame-stack", type=int, metavar="K", help="the last K observations as one")
    group.add_argument(
        "--memory", metavar="KIND[:FIRST][,KEY=VALUE]",
        help="what observations hold of those before: window:4,actions=true, or a model such as hidden-markov-model:6",
    )  # fmt: skip
    group.add_argument(
        "--gym-packages",
        nargs="+",
        action="extend",
        default=[],
        metavar="MODULE",
        help="modules to import because they register environments; module:function calls a function that does",
    )


def _many(verb: argparse.ArgumentParser) -> None:
    """Who does several runs: the same in every verb that makes several."""
    many = verb.add_argument_group("several runs")
    many.add_argument("--jobs", type=count, metavar="N", help="runs at once, in processes of one thread each")
    many.add_argument(
        "--runner", choices=["local", "ray"], help="processes of this machine, or a Ray cluster (default: local)"
    )
    many.add_argument(
        "--ray-address", metavar="ADDRESS", help="of a Ray cluster, or auto (default: one is started here; extra: ray)"
    )


def _json(verb: argparse.ArgumentParser, what: str) -> None:
    """What programs read: the same in every verb that answers with data."""
    verb.add_argument("--json", action="store_true", help=f"{what} as JSON on standard output, and nothing else there")


def _acting(verb: argparse.ArgumentParser) -> None:
    acting = verb.add_argument_group("acting")
    choice = acting.add_mutually_exclusive_group()
    choice.add_argument("--deterministic", action="store_true", default=True, help="take the best action (default)")
    choice.add_argument(
        "--stochastic", dest="deterministic", action="store_false", help="follow the agent's own policy"
    )


def _window(verb: argparse.ArgumentParser) -> None:
    window = verb.add_argument_group("window")
    window.add_argument("--size", type=size, metavar="WxH", help="size of the window (default: 1280x720)")
    window.add_argument("--fps", type=float, metavar="N", help="environment steps a second at speed 1")
    window.add_argument("--headless", action="store_true", help="open no window; write what it would show to --output")
    window.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="record what the window shows (.gif, .mp4 or .png)"
    )
    window.add_argument("--max-steps", type=count, metavar="N", help="stop after N steps of the environment")


def _training(verb: argparse.ArgumentParser) -> None:
    _common(verb, dynamics=True)
    how = verb.add_argument_group("training")
    how.add_argument("-n", "--n-timesteps", type=int, metavar="N", help="timesteps (default: 100000)")
    how.add_argument(
        "-params",
        "--hyperparams",
        nargs="+",
        action="extend",
        default=[],
        metavar="K:V",
        help="hyperparameters, e.g. alpha:0.5",
    )
    how.add_argument(
        "--features",
        metavar="MODEL",
        help="unsupervised model between observation and agent, e.g. k-means:64,refit_every=20000 or pca:4,whiten=true",
    )
    how.add_argument(
        "--model", metavar="MODEL", help="supervised model as value function, e.g. extra-trees:n_estimators=50"
    )
    how.add_argument(
        "--dataset", metavar="FILE",
        help="what offline agents learn from, or demonstrations in the replay buffer of others (rlplay dataset make)",
    )  # fmt: skip
    how.add_argument("-conf", "--conf-file", metavar="FILE", help="an RL Zoo YAML file; crossq, droq, rainbow")
    how.add_argument(
        "--engine",
        choices=["auto", "python", "compiled"],
        help="step by step in Python, or one native loop; the same bits (default: auto, or the resumed run's)",
    )
    how.add_argument(
        "--workers", type=workers, metavar="N",
        help="processes that play n_envs environments without native dynamics, besides this one; the same bits "
        "(default: as many as pay, measured); ray:N for actors of a Ray cluster",
    )  # fmt: skip
    how.add_argument("--resume", metavar="RUN", help="finish a run that was interrupted or killed: its folder")
    how.add_argument("--watch", action="store_true", help="open a window on the agent while it learns")
    how.add_argument(
        "--lock-step", action="store_true", help="learn in the window itself: see each step, sweep or improvement"
    )
    logs = verb.add_argument_group("evaluation and logs")
    logs.add_argument(
        "--eval-freq", type=frequency, metavar="N", help="timesteps between evaluations (default: a tenth; -1: none)"
    )
    logs.add_argument("--eval-episodes", type=count, metavar="N", help="episodes an evaluation (default: 5)")
    logs.add_argument("--save-freq", type=frequency, metavar="N", help="timesteps between numbered checkpoints")
    logs.add_argument("--keep", type=count, metavar="K", help="numbered checkpoints to keep (default: all)")
    logs.add_argument("--log-interval", type=count, metavar="N", help="rollouts or episodes a row (default: 100 rows)")
    logs.add_argument(
        "-tb", "--tensorboard-log", type=Path, metavar="DIR", help="TensorBoard folder (extra: tensorboard)"
    )
    logs.add_argument("-P", "--progress", action=argparse.BooleanOptionalAction, default=None, help="progress bar")


def _train(verb: argparse.ArgumentParser) -> None:
    _training(verb)
    _many(verb)
    _window(verb)
    _rows(verb)


def _compare(verb: argparse.ArgumentParser) -> None:
    _training(verb)
    _many(verb)
    verb.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="saved runs in place of training: their folders, or a folder with runs in it (--env chooses)",
    )
    verb.add_argument("--paired", action="store_true", help="differences on the same seeds too")
    verb.add_argument(
        "-o", "--output", type=Path, metavar="FILE",
        help="page (.html) or picture (default: both, compare-<Env>.html and .png)",
    )  # fmt: skip
    _json(verb, "curves and results")


def _rows(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--rows", type=count, metavar="N", help="the agent in 2 to 32 environments side by side, as a vector's rows"
    )


def _watch(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", nargs="?", metavar="PATH", help="a saved agent or a run folder (default: the newest run)")
    verb.add_argument(
        "others", nargs="*", metavar="PATH", help="up to three more to compare it with; `random` and `you` play too"
    )
    _common(verb)
    _acting(verb)
    _window(verb)
    verb.add_argument("--follow", action="store_true", help="take over new weights while the run goes on")
    verb.add_argument("--ghost", action="store_true", help="draw the players over each other: the first, and ghosts")
    _rows(verb)


def _eval(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", nargs="?", metavar="PATH", help="a saved agent or a run folder (default: the newest run)")
    _common(verb, dynamics=True)
    choice = verb.add_argument_group("acting").add_mutually_exclusive_group()
    choice.add_argument("--deterministic", action="store_true", help="the best actions alone (default: both)")
    choice.add_argument("--stochastic", action="store_true", help="the agent's own policy alone (default: both)")
    verb.add_argument("--eval-episodes", type=count, default=20, metavar="N", help="episodes (default: 20)")
    _json(verb, "the returns")


def _play(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "path", nargs="?", metavar="PATH", help="a saved agent or a run folder whose environment is played"
    )
    _common(verb)
    _window(verb)
    verb.add_argument(
        "--record", type=Path, metavar="FILE", help="write the episodes you play (seed and actions, JSON)"
    )


def _replay(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", metavar="FILE", help="an episode file")
    what = verb.add_argument_group("environment, where the file may not import it")
    what.add_argument(
        "--env", nargs="+", action="extend", metavar="ID", help="environment id, module:id or package.module:Class"
    )
    _making(what)
    _window(verb)
    verb.add_argument("--check", action="store_true", help="open no window: only verify that it replays exactly")


def _export(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="a saved agent, a run folder or an episode file (default: the newest run)",
    )
    _common(verb)
    _acting(verb)
    verb.add_argument(
        "-o", "--output", type=Path, metavar="FILE",
        help="the page (.html, default: replay.html), a zip of Stable-Baselines3 (.zip), or a folder as "
        "Hugging Face has them (DIR/)",
    )  # fmt: skip
    verb.add_argument("--max-steps", type=count, metavar="N", help="stop after N steps (default: 1000)")
    verb.add_argument("--eval-episodes", type=count, metavar="N", help="of a folder's results (default: 10)")


def _import(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "path",
        metavar="PATH",
        help="a zip of Stable-Baselines3's model.save, or a folder of Hugging Face or RL Zoo",
    )
    what = verb.add_argument_group("agent and environment")
    what.add_argument(
        "--algo", nargs="+", action="extend", metavar="ID",
        help="ours (ppo) or Stable-Baselines3's (sb3/ppo); default: ours where its networks fit",
    )  # fmt: skip
    what.add_argument(
        "--env", nargs="+", action="extend", metavar="ID", help="environment (default: what the folder names)"
    )
    _making(what)
    what.add_argument("--seed", nargs="+", action="extend", type=int, metavar="N", help="seed (default: the file's)")
    what.add_argument(
        "-params", "--hyperparams", nargs="+", action="extend", default=[], metavar="K:V",
        help="hyperparameters in place of the file's",
    )  # fmt: skip
    what.add_argument(
        "--vecnormalize", type=Path, metavar="FILE", help="what VecNormalize.save wrote (default: beside the zip)"
    )
    where = verb.add_argument_group("files")
    where.add_argument("-f", "--log-folder", type=Path, metavar="DIR", help="folder of runs (default: logs)")
    where.add_argument(
        "-o", "--output", type=Path, metavar="RUN", help="folder of the run, or FILE.rlp (default: a new run in logs)"
    )


def _explain(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("path", nargs="?", metavar="PATH", help="a saved agent or a run folder (default: the newest run)")
    _common(verb)
    _acting(verb)
    verb.add_argument("-n", "--n-timesteps", type=count, metavar="N", help="steps to play (default: 2000)")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="picture (default: explain-<Env>.png)")


def _list(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", nargs="?", choices=["agents", "envs", "models", "runs"], help="one kind only")
    verb.add_argument("-f", "--log-folder", type=Path, metavar="DIR", help="folder of runs")
    verb.add_argument("--all", action="store_true", help="every environment in Gymnasium's registry too")
    _json(verb, "what is there")


def _show(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", help="an agent or environment, e.g. q-learning or FrozenLake-v1")
    verb.add_argument("--source", action="store_true", help="print the whole file")
    _json(verb, "the page")


def _figure(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("names", nargs="*", metavar="NAME", help="figures, e.g. cliff-walking; all; none lists them")
    verb.add_argument("--runs", type=count, metavar="N", help="independent runs (default: each figure's own)")
    verb.add_argument("-o", "--output", type=Path, metavar="PATH", help="folder, or a file for one (default: figures)")
    _many(verb)


def _demo(verb: argparse.ArgumentParser) -> None:
    _window(verb)
    verb.add_argument("--seed", type=int, metavar="N", help="seed")


def _warm(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--algo", nargs="+", action="extend", metavar="ID", help="agents (default: all)")
    verb.add_argument(
        "--env", nargs="+", action="extend", metavar="ID", help="environments (default: one that each agent takes)"
    )
    _making(verb)
    verb.add_argument("--background", action="store_true", help="say nothing, and leave the processor to others")


def _check_env(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("env", metavar="ENV", help="an environment's id, module:id or package.module:Class")
    _making(verb)
    verb.add_argument("-n", "--steps", type=int, default=2000, metavar="N", help="steps to play (default: 2000)")
    verb.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the first episode (default: 0)")


def _dataset(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("action", choices=["make", "info"], help="make one; or verify one and say what is in it")
    verb.add_argument("file", nargs="?", metavar="FILE", help="the data set of info")
    _common(verb)
    verb.add_argument("-n", "--n-timesteps", type=int, metavar="N", help="steps (default: 10000)")
    verb.add_argument("--stochastic", action="store_true", help="agents follow their own policy, not its best action")
    verb.add_argument(
        "--mix", nargs="+", action="extend", default=[], metavar="NAME:SHARE",
        help="who else plays, and what share of the steps: random, a policy by name, or the file of an agent",
    )  # fmt: skip
    verb.add_argument(
        "--recordings", nargs="+", action="extend", default=[], type=Path, metavar="FILE",
        help="episodes that a person played (play --record), added to the others",
    )  # fmt: skip
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="what make writes")


def _tune(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "action", nargs="?", default="search", choices=["search", "population", "confirm", "repeat", "revive", "plot"],
        help="search (default); population-based training; confirm the best on fresh seeds; repeat a trial; revive a "
        "pruned one; plot",
    )  # fmt: skip
    what = verb.add_argument_group("agent and environment")
    what.add_argument("--algo", nargs="+", action="extend", metavar="ID", help="agent, see `rlplay list agents`")
    what.add_argument("--env", nargs="+", action="extend", metavar="ID", help="environment")
    _making(what)
    what.add_argument("--dynamics", choices=["auto", "native", "gymnasium"], help="whose dynamics run")
    what.add_argument("-f", "--log-folder", type=Path, metavar="DIR", help="folder of runs (default: logs)")
    what.add_argument("-n", "--n-timesteps", type=whole, metavar="N", help="timesteps of a trial (default: 100000)")
    what.add_argument(
        "-params", "--hyperparams", nargs="+", action="extend", default=[], metavar="K:V", help="what is not searched"
    )
    what.add_argument("-conf", "--conf-file", metavar="FILE", help="what is not searched, from an RL Zoo YAML file")
    what.add_argument("--dataset", metavar="FILE", help="what offline agents learn from")
    space = verb.add_argument_group("search")
    space.add_argument("--trials", type=count, metavar="N", help="trials in all (default: 100)")
    space.add_argument(
        "--seed", nargs="+", action="extend", type=int, metavar="N", help="a run of each trial (default: 0)"
    )
    space.add_argument("--space", metavar="FILE", help="YAML: name: {low, high, log, integer} or name: [values]")
    space.add_argument("--features", nargs="+", metavar="MODEL", help="feature maps to choose from; none is one")
    space.add_argument("--model", nargs="+", metavar="MODEL", help="models to choose from")
    space.add_argument("--metric", nargs="+", metavar="NAME", help="iqm (default), mean, median, worst; and seconds")
    space.add_argument("--eval-episodes", type=count, metavar="N", help="episodes an evaluation (default: 10)")
    space.add_argument("--sampler", metavar="NAME", help="tpe or random (default: tpe)")
    space.add_argument("--sampler-seed", type=none_or_more, metavar="N", help="seed of the sampler (default: 0)")
    space.add_argument("--pruner", metavar="NAME", help="none, median, halving or wilcoxon (default: none)")
    space.add_argument("--rungs", type=count, metavar="N", help="evaluations at which a pruner judges (default: 4)")
    population = verb.add_argument_group("population")
    population.add_argument("--members", type=count, metavar="N", help="agents that learn side by side (default: 8)")
    population.add_argument("--generations", type=count, metavar="N", help="between two copies (default: 10)")
    study = verb.add_argument_group("study")
    study.add_argument("--study", metavar="NAME", help="its name (default: <algo>-<env>, or the newest)")
    study.add_argument("--storage", metavar="URL", help="sqlite:///FILE or a journal (default: in its folder)")
    study.add_argument("--trial", type=none_or_more, metavar="K", help="which trial (default: the best)")
    study.add_argument("--top", type=count, metavar="N", help="trials that are confirmed (default: 5)")
    study.add_argument("--seeds", type=count, metavar="N", help="fresh seeds of each (default: 10)")
    _many(verb)


def _runs(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "action", nargs="?", default="list", choices=["list", "compare", "prune", "export"], help="default: list"
    )
    verb.add_argument("-f", "--log-folder", type=Path, metavar="DIR", help="folder of runs (default: logs)")
    which = verb.add_argument_group("which runs")
    which.add_argument("--algo", nargs="+", action="extend", metavar="ID", help="of these agents")
    which.add_argument("--env", nargs="+", action="extend", metavar="ID", help="in these environments")
    which.add_argument("--seed", nargs="+", action="extend", type=int, metavar="N", help="with these seeds")
    which.add_argument(
        "--where", nargs="+", action="extend", default=[], metavar="CONDITION",
        help="e.g. 'best>=400' 'params.alpha=0.1' finished=true",
    )  # fmt: skip
    verb.add_argument("--sort", metavar="COLUMN", help="the highest first, e.g. best")
    verb.add_argument("--keep", type=count, metavar="K", help="prune: leave the best K of each agent and environment")
    verb.add_argument("--yes", action="store_true", help="prune: remove them, do not only say which")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="picture of compare, or table of export")
    _json(verb, "the table of list or compare")


def _models(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "action", nargs="?", default="list", choices=["list", "show", "compare", "play"], help="default: list"
    )
    verb.add_argument(
        "name", nargs="?", metavar="ID",
        help="a model, e.g. k-means; play has gradient-descent and backpropagation too, with data of their own",
    )  # fmt: skip
    verb.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="picture of compare (default: ID.png), record of play"
    )
    play = verb.add_argument_group("playground (play)")
    play.add_argument(
        "--data", type=text, metavar="NAME",
        help="moons, circles, spirals, blobs, xor, a CSV file of x, y, class, or an environment's observations: "
        "CartPole-v1 (first two principal axes), CartPole-v1,2,3 (two numbers), CartPole-v1,returns (labels); "
        "autoencoders take roll or an environment; gradient-descent and backpropagation have their own",
    )  # fmt: skip
    play.add_argument("--seed", type=int, metavar="N", help="seed of the points and the models")
    play.add_argument("--size", type=size, metavar="WxH", help="size of the window (default: 1280x720)")
    play.add_argument("--headless", action="store_true", help="open no window; write all steps to --output")
    play.add_argument("--max-steps", type=count, metavar="N", help="stop after N frames")


def _learn(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "lesson", nargs="?", metavar="LESSON", type=text,
        help="id or number of a lesson; next; all; none lists the path and how far you are",
    )  # fmt: skip
    verb.add_argument("--run", action="store_true", help="only run the lesson's code, and say how long it took")
    verb.add_argument("--exercise", type=count, metavar="N", help="the exercise that --answer is for (default: 1)")
    verb.add_argument("--answer", metavar="TEXT", help="a prediction, or what belongs into the gap; judged at once")
    verb.add_argument("--notebook", action="store_true", help="write the lesson as a Jupyter notebook")
    verb.add_argument("--forget", action="store_true", help="put the progress aside and begin anew")
    verb.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder of pictures or notebooks")


def _which(verb: argparse.ArgumentParser) -> None:
    from rlplay.course.choosing import QUESTIONS

    for name, (question, answers) in QUESTIONS.items():
        if answers:
            shown = f"{question} {', '.join(answers)}"
            verb.add_argument(f"--{name}", choices=list(answers), metavar=name.upper(), help=shown)
        else:
            verb.add_argument(f"--{name}", type=count, metavar="N", help=question)


def _plot(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("paths", nargs="*", metavar="PATH", help="folders of runs or log files (default: logs)")
    verb.add_argument(
        "-y", "--quantity", metavar="NAME",
        help="evaluations, episodes, or a tag, e.g. train/loss (default: the first that most runs have)",
    )  # fmt: skip
    verb.add_argument("-x", "--axis", choices=["steps", "episodes", "time"], default="steps", help="default: steps")
    verb.add_argument("--each", action="store_true", help="every run a curve of its own, not all of a name together")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="picture: .png, .svg, .pdf (default: plot.png)")
    _json(verb, "the curves")


def _bench(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "parts", nargs="*", metavar="PART", help="agents, environments, models (default: all, about two minutes)"
    )
    verb.add_argument("--rounds", type=count, default=3, metavar="N", help="of each line (default: 3)")
    _json(verb, "the table")


def _completion(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("shell", choices=["bash", "zsh", "fish"], help="whose script is printed")


_VERBS = {
    "demo": ("demo", "see an agent learn, in under a minute", _demo),
    "train": ("train", "train an agent in an environment", _train),
    "compare": ("compare", "several agents on the same seeds: tables, a page for a browser, a picture", _compare),
    "runs": ("runs", "the runs in a folder: list, filter, compare, remove, export", _runs),
    "plot": ("plot", "learning curves of saved runs, RL Zoo's and Stable-Baselines3's logs", _plot),
    "tune": ("tune", "search hyperparameters; confirm what was found on fresh seeds", _tune),
    "watch": ("watch", "watch a saved agent in a window", _watch),
    "eval": ("evaluate", "play episodes with a saved agent and report the returns", _eval),
    "play": ("play", "play an environment yourself", _play),
    "replay": ("replay", "show a recorded episode again, or verify it", _replay),
    "export": ("export", "an episode as one page for a browser; an agent as a zip of Stable-Baselines3", _export),
    "import": ("import_model", "a model of Stable-Baselines3 as a run; its code is never run", _import),
    "explain": ("explain", "what each number of the observation contributes to the choices of an agent", _explain),
    "check-env": ("check_env", "check an environment of your own: 2000 steps, replay, misuse, pictures", _check_env),
    "dataset": ("dataset", "make a data set to learn from offline; say what is in one", _dataset),
    "list": ("listing", "what is there: agents, environments, models, runs", _list),
    "learn": ("learn", "the learning path: lessons that run, exercises that check themselves", _learn),
    "which": ("which", "what fits what you have: a model or an agent, with the reason and the command", _which),
    "models": ("models", "the models from scratch; one in full, beside scikit-learn's, or to play with", _models),
    "figure": ("figure", "a figure of the textbook, computed anew: a picture and a table", _figure),
    "warm": ("warm", "compile agents now, so that none has to be waited for later", _warm),
    "bench": ("bench", "this machine's table: ours beside Stable-Baselines3, Gymnasium, scikit-learn, torch", _bench),
    "completion": ("completion", "a script by which your shell completes verbs, flags and names", _completion),
    "show": ("show", "the idea, the equation, the hyperparameters and the file of an agent", _show),
}
