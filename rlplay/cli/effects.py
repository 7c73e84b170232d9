"""What is typed changes what happens, or is refused: flags that would have no effect beside the others."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any, NamedTuple

from rlplay.errors import UsageError


class _Rule(NamedTuple):
    """Flags that have no effect in a case.

    Attributes:
        flags: as they are typed.
        idle: whether it is the case.
        why: in words.
        remedy: the way out.
    """

    flags: tuple[str, ...]
    idle: Callable[[Namespace], Any]
    why: str
    remedy: str


def check_effects(arguments: Namespace) -> None:
    """Refuse the first flags that would have no effect.

    Raises:
        UsageError: names the flags, why, and the way out.
    """
    for rule in _RULES.get(arguments.verb, ()):
        typed = [flag for flag in rule.flags if _is_typed(arguments, flag)]
        if typed and rule.idle(arguments):
            verb = "has" if len(typed) == 1 else "have"
            raise UsageError(f"{', '.join(typed)} {verb} no effect here: {rule.why}", rule.remedy)


_PLACES = {"-o": "output", "-f": "log_folder", "-i": "trained_agent", "-tb": "tensorboard_log", "ID": "name",
           "-n": "n_timesteps", "-P": "progress",
           "-params": "hyperparams", "-conf": "conf_file"}  # fmt: skip


def _is_typed(arguments: Namespace, flag: str) -> bool:
    value = getattr(arguments, _PLACES.get(flag, flag.lstrip("-").replace("-", "_")), None)
    return value is not None and value is not False and value != []


def _names_a_file(arguments: Namespace) -> bool:
    return bool(arguments.path or arguments.trained_agent)


def _always(arguments: Namespace) -> bool:
    return True


_WINDOW = ("-o", "--size", "--fps", "--max-steps", "--headless")
_CHECKPOINT = ("--load-best", "--load-checkpoint")
_LOGS = ("--eval-freq", "--eval-episodes", "--save-freq", "--keep", "--log-interval", "-tb")

_LOGGED = (
    _Rule(
        ("--keep",), lambda a: not a.resume and (a.save_freq or -1) < 1, "there are no numbered checkpoints",
        "Add --save-freq N",
    ),
    _Rule(
        ("--eval-episodes",), lambda a: a.eval_freq == -1, "--eval-freq -1 evaluates nothing", "Leave out one of them"
    ),
)  # fmt: skip
_MANY = (
    _Rule(
        ("--ray-address",), lambda a: a.runner != "ray", "runs are done on this machine", "Add --runner ray",
    ),
)  # fmt: skip
_SAVED = (
    _Rule(("-i",), lambda a: a.path, "PATH names the agent", "Leave out one of them"),
    _Rule(("--exp-id", "-f"), _names_a_file, "the agent is named by its path", "Leave that out"),
)
_DATA = _Rule(("--source",), lambda a: a.json, "--json names the file", "Leave out one of them")
_RULES: dict[str, tuple[_Rule, ...]] = {
    "train": (
        _Rule(
            _WINDOW[:-1], lambda a: not (a.watch or a.lock_step), "no window is open",
            "Add --watch, or --lock-step; or watch the run afterwards: rlplay watch",
        ),
        _Rule(
            ("--rows",), lambda a: not a.watch, "no window follows the training",
            "Add --watch, or watch the run afterwards: rlplay watch --rows 8",
        ),
        _Rule(
            ("--headless",), lambda a: not a.lock_step, "only --lock-step learns in the window itself",
            "Add --lock-step, or watch the run afterwards: rlplay watch --headless -o watch.gif",
        ),
        _Rule(
            _CHECKPOINT, lambda a: not a.trained_agent, "training goes on from a checkpoint only with -i",
            "Name the run: -i logs/q-learning/FrozenLake-v1_1",
        ),
        _Rule(
            ("--exp-id",), _always, "a run takes the next free number",
            "To go on with a run name its folder: -i logs/q-learning/FrozenLake-v1_1",
        ),
        _Rule(
            ("--dynamics",), lambda a: a.trained_agent and not a.env, "it goes with --env", "Name the environment too"
        ),
        *_LOGGED,
        *_MANY,
        _Rule(
            ("--jobs", "--runner"), lambda a: a.resume or a.trained_agent, "one run goes on", "Leave that out",
        ),
        _Rule(
            ("--workers", "-P"), lambda a: a.jobs or a.runner, "several runs at once have one thread each, and a table",
            "Leave that out",
        ),
        _Rule(
            (*_LOGS, "--engine", "--workers", "--watch"), lambda a: a.lock_step,
            "--lock-step learns in the window and logs nothing",
            "Leave that out, or take --watch in place of --lock-step",
        ),
    ),
    "compare": (
        _Rule((*_CHECKPOINT, "--exp-id"), _always, "compare trains anew", "Leave that out"),
        _Rule(
            ("-n", "-params", "-conf", "--features", "--model", "--dataset", "--env-kwargs", "--wrapper",
             "--frame-stack", "--memory", "--jobs", "--runner", "--ray-address", "-f", "-i", "--resume", "--watch",
             "--lock-step", "--engine", "--dynamics", "--workers", *_LOGS),
            lambda a: a.runs, "saved runs are compared as they are",
            "Leave that out, or name no runs: agents that are to be trained stand after --algo",
        ),
        _Rule(("-P",), _always, "a table says how far each run is", "Leave that out"),
        _Rule(
            ("--workers",), lambda a: (a.jobs or 1) > 1 or a.runner, "several runs at once have one thread each",
            "Leave that out",
        ),
        *_LOGGED,
        *_MANY,
    ),
    "eval": (
        *_SAVED,
        _Rule(("--dynamics",), lambda a: not a.env, "it goes with --env", "Name the environment too"),
    ),
    "watch": _SAVED,
    "explain": _SAVED,
    "export": (
        *_SAVED,
        _Rule(
            ("--seed", "--algo", *_CHECKPOINT), lambda a: a.path and a.path.endswith(".json"),
            "an episode file says what was done", "Leave that out",
        ),
        _Rule(
            ("--eval-episodes",), lambda a: a.output is None or a.output.suffix != "", "nothing is evaluated",
            "Leave that out, or name a folder: -o DIR/",
        ),
        _Rule(
            ("--max-steps",), lambda a: a.output is not None and a.output.suffix == ".zip", "no episode is shown",
            "Leave that out",
        ),
    ),
    "play": (
        *_SAVED,
        _Rule(
            (*_CHECKPOINT, "--exp-id", "-f"), lambda a: not (_names_a_file(a) or a.algo), "no saved agent is named",
            "Add --algo, or the path of a run",
        ),
    ),
    "replay": (
        _Rule(_WINDOW, lambda a: a.check, "--check opens no window", "Leave out one of them"),
    ),
    "dataset": (
        _Rule(
            ("-o", "-n", "-i", "--algo", "--mix", "--recordings", "--stochastic", "--seed"),
            lambda a: a.action == "info", "info only reads", "Leave that out",
        ),
        _Rule(
            ("--stochastic",), lambda a: not (a.trained_agent or a.algo or a.mix), "no agent plays",
            "Name one with -i",
        ),
    ),
    "show": (_DATA,),
    "list": (
        _Rule(("--all",), lambda a: a.what not in (None, "envs"), "it lists environments", "rlplay list envs --all"),
        _Rule(("-f",), lambda a: a.what not in (None, "runs"), "it lists runs", "rlplay list runs -f DIR"),
    ),
    "runs": (
        _Rule(
            ("--json",), lambda a: a.action in ("prune", "export"), "only list and compare answer with data",
            "Leave that out",
        ),
        _Rule(("--keep", "--yes"), lambda a: a.action != "prune", "only prune removes runs", "rlplay runs prune"),
        _Rule(("-o",), lambda a: a.action not in ("compare", "export"), "no file is written", "rlplay runs export"),
        _Rule(
            ("--sort",), lambda a: a.action in ("compare", "prune"), "compare and prune have their own order",
            "Leave that out",
        ),
    ),
    "tune": (
        _Rule(
            ("--trials", "--space", "--features", "--model", "--metric", "--sampler", "--sampler-seed", "--pruner",
             "--rungs", "-n", "-params", "-conf", "--seed", "--eval-episodes"),
            lambda a: a.action not in ("search", "population"), "the study says it", "Leave that out",
        ),
        _Rule(
            ("--members", "--generations"), lambda a: a.action != "population", "no population learns",
            "rlplay tune population --algo ... --env ...",
        ),
        _Rule(
            ("--trials", "--sampler", "--pruner", "--rungs", "--metric", "--storage"),
            lambda a: a.action == "population", "a population has generations, and is judged by iqm", "Leave that out",
        ),
        _Rule(
            ("--trial",), lambda a: a.action not in ("repeat", "revive"), "no single trial is run",
            "rlplay tune repeat --trial K, or revive",
        ),
        _Rule(
            ("--top", "--seeds"), lambda a: a.action != "confirm", "only confirm has fresh seeds", "rlplay tune confirm"
        ),
        _Rule(
            ("--jobs", "--runner"), lambda a: a.action in ("repeat", "revive", "plot"), "one trial is run, or none",
            "Leave that out",
        ),
        _Rule(
            ("--rungs",), lambda a: a.pruner in (None, "none", "wilcoxon"), "no pruner judges at rungs",
            "Add --pruner median, or halving",
        ),
        *_MANY,
    ),
    "models": (
        _Rule(("ID",), lambda a: a.action == "list", "list lists them all", "rlplay models show ID"),
        _Rule(
            ("-o",), lambda a: a.action not in ("compare", "play"), "only compare and play draw",
            "rlplay models compare ID -o FILE",
        ),
        _Rule(
            ("--data", "--seed", "--size", "--headless", "--max-steps"), lambda a: a.action != "play",
            "only play has a playground", "rlplay models play ID",
        ),
    ),
    "learn": (
        _Rule(
            ("--run", "--exercise", "--answer", "--notebook", "-o"), lambda a: a.forget, "--forget only forgets",
            "Leave that out",
        ),
        _Rule(
            ("--run", "--exercise", "--answer", "-o"), lambda a: a.lesson is None, "no lesson is named",
            "For example: rlplay learn next",
        ),
        _Rule(("--exercise",), lambda a: a.answer is None, "there is no --answer", "Add --answer TEXT"),
        _Rule(
            ("--answer",), lambda a: a.lesson == "all" or a.run or a.notebook, "it answers an exercise of one lesson",
            "For example: rlplay learn derivatives --exercise 1 --answer 6",
        ),
        _Rule(("--run",), lambda a: a.notebook, "--notebook writes a file and runs nothing", "Leave out one of them"),
    ),
    "figure": (
        _Rule(
            ("--runs", "-o", "--jobs", "--runner"), lambda a: not a.names, "no figure is named", "Name one, or all"
        ),
        *_MANY,
    ),
}  # fmt: skip
