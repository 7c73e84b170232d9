"""``rlplay completion bash | zsh | fish``: a script by which the shell completes verbs, flags and names.

The script is written from the parser, so that it says what the command line takes. It runs nothing while one types:
ids of agents, environments and models stand in it as they are when it is written.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rlplay import registry
from rlplay.cli.arguments import parser
from rlplay.course.lesson import lessons
from rlplay.reports.bench import PARTS
from rlplay.reports.figures import figure_names

SHELLS = ("bash", "zsh", "fish")
_FILES = "@files"
_HOW = {
    "bash": "for good: echo 'eval \"$(rlplay completion bash)\"' >> ~/.bashrc",
    "zsh": "for good, after compinit: echo 'eval \"$(rlplay completion zsh)\"' >> ~/.zshrc",
    "fish": "for good: rlplay completion fish > ~/.config/fish/completions/rlplay.fish",
}
_GYMNASIUM = ("Acrobot-v1", "Blackjack-v1", "CartPole-v1", "CliffWalking-v1", "FrozenLake-v1", "LunarLander-v3",
              "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Taxi-v4")  # fmt: skip


_FISH_LAST = """function __rlplay_last
    set -l typed (commandline -opc)
    for k in (seq (count $typed) -1 2)
        if string match -q -- '-*' $typed[$k]
            echo -- $typed[$k]
            return
        end
    end
end"""


class _Flag(NamedTuple):
    """What can stand behind a flag, or as a positional.

    Attributes:
        names: as it is typed; none for a positional.
        values: to choose from; ``@files`` for paths, none for what cannot be completed.
        takes: 0 for no value, 1 for one, 2 for several.
        words: its help.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    takes: int
    words: str


def run(arguments: Namespace) -> int:
    """Print the script."""
    print(script(arguments.shell), end="")
    if sys.stdout.isatty():
        print(f"# {_HOW[arguments.shell]}", file=sys.stderr)
    return 0


def script(shell: str) -> str:
    """The script for a shell.

    Args:
        shell: ``"bash"``, ``"zsh"`` or ``"fish"``.

    Example:
        >>> "--n-timesteps" in script("bash"), "q-learning" in script("zsh"), script("fish").startswith("# rlplay")
        (True, True, True)
    """
    verbs = _verbs()
    head = f"# rlplay's completion for {shell}; {_HOW[shell]}\n"
    return head + (_fish(verbs) if shell == "fish" else _bash(verbs) if shell == "bash" else _zsh(verbs))


def _verbs() -> dict[str, tuple[str, list[_Flag]]]:
    """The verbs with their help and flags."""
    found = {}
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, verb in action.choices.items():
                found[name] = (helps[name], [_flag(name, one) for one in verb._actions])
    return found


def _flag(verb: str, action: argparse.Action) -> _Flag:
    count = 0 if action.nargs == 0 else 2 if action.nargs in ("+", "*") else 1
    return _Flag(tuple(action.option_strings), _values(verb, action) if count else (), count, action.help or "")


def _values(verb: str, action: argparse.Action) -> tuple[str, ...]:
    """What an argument takes: its choices, names that are registered, or paths."""
    if action.choices is not None:
        return tuple(map(str, action.choices))
    if action.dest == "algo":
        return tuple(registry.agent_ids())
    if action.dest == "env":
        return _env_ids()
    if action.dest in ("features", "model") or (verb, action.dest) == ("models", "name"):
        return tuple(registry.model_ids())
    if (verb, action.dest) == ("show", "name"):
        return (*registry.agent_ids(), *_env_ids())
    if (verb, action.dest) == ("bench", "parts"):
        return PARTS
    if (verb, action.dest) == ("learn", "lesson"):
        return tuple(lesson.id for lesson in lessons())
    if (verb, action.dest) == ("figure", "names"):
        return tuple(figure_names())
    paths = ("path", "others", "runs", "resume", "trained_agent", "conf_file", "dataset", "file", "paths")
    if action.type is Path or action.dest in paths or action.metavar in ("FILE", "DIR", "PATH", "RUN"):
        return (_FILES,)
    return ()


def _env_ids() -> tuple[str, ...]:
    return tuple(sorted({*registry.env_ids(), *_GYMNASIUM}))


def _cases(flags: Iterable[_Flag], files: str) -> tuple[str, str, str]:
    """Lines of a shell's ``case`` over flags: their values; flags of one value; what stands without a flag."""
    lines: list[str] = []
    single: list[str] = []
    bare: list[str] = []
    for flag in flags:
        words = files if flag.values == (_FILES,) else f"known={shlex.quote(' '.join(flag.values))}"
        if not flag.names:
            bare.append(words)
        elif flag.takes:
            lines.append(f"            {'|'.join(flag.names)}) {words};;")
            if flag.takes == 1:
                single += flag.names
    names = [words for words in bare if words != files]
    named = (
        f"if ((first)); then {names[0]}; else {names[-1]}; fi" if len(names) > 1 else names[0] if names else "known="
    )
    return "\n".join(lines), " ".join(single), "; ".join([named, *([files] if files in bare else [])])


def _body(verbs: dict[str, tuple[str, list[_Flag]]], files: str) -> str:
    """The ``case`` over the verbs that bash and zsh share.

    It sets flags, single, known and files; first is 1 where a word stands right behind the verb.
    """
    parts = []
    for name, (_, flags) in verbs.items():
        cases, single, bare = _cases(flags, files)
        every = " ".join(one for flag in flags for one in flag.names)
        parts.append(
            f"    {name})\n        flags={shlex.quote(every)}\n        single={shlex.quote(single)}\n"
            f'        case "$flag" in\n{cases}\n            *) {bare};;\n        esac;;'
        )
    return "\n".join(parts)


def _bash(verbs: dict[str, tuple[str, list[_Flag]]]) -> str:
    return f"""_rlplay() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} flag= flags= single= known= files= first=0 k
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W {shlex.quote(" ".join([*verbs, "--help", "--version"]))} -- "$current"))
        return
    fi
    [[ $current == = ]] && current=  # bash takes --engine=python for three words
    for ((k = COMP_CWORD - 1; k > 1; k--)); do
        if [[ ${{COMP_WORDS[k]}} == -* ]]; then flag=${{COMP_WORDS[k]}}; break; fi
    done
    ((COMP_CWORD == 2)) && first=1
    _rlplay_values "${{COMP_WORDS[1]}}"
    if [[ -n $flag && " $single " == *" $flag "* ]] && ((k < COMP_CWORD - 1)) && [[ ${{COMP_WORDS[k + 1]}} != = ]]; then
        flag=; known=; files=; _rlplay_values "${{COMP_WORDS[1]}}"
    fi
    if [[ $current == -* ]]; then known=$flags; files=; fi
    COMPREPLY=($(compgen -W "$known" -- "$current"))
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r k; do COMPREPLY+=("$k"); done < <(compgen -f -- "$current")
    fi
}}
_rlplay_values() {{
    case "$1" in
{_body(verbs, "files=1")}
    esac
}}
complete -F _rlplay rlplay
"""


def _zsh(verbs: dict[str, tuple[str, list[_Flag]]]) -> str:
    shown = " ".join(shlex.quote(f"{name}:{help_text}") for name, (help_text, _) in verbs.items())
    return f"""_rlplay() {{
    local current=${{words[CURRENT]}} verb=${{words[2]}} flag= flags= single= known= files= first=0 k
    local -a verbs
    if ((CURRENT == 2)); then
        verbs=({shown})
        _describe verb verbs
        return
    fi
    for ((k = CURRENT - 1; k > 2; k--)); do
        if [[ ${{words[k]}} == -* ]]; then flag=${{words[k]}}; break; fi
    done
    if [[ $current == --*=* ]] && compset -P '*='; then
        flag=${{current%%=*}}; current=${{current#*=}}; k=$((CURRENT - 1))
    fi
    ((CURRENT == 3)) && first=1
    _rlplay_values "$verb"
    if [[ -n $flag && " $single " == *" $flag "* ]] && ((k < CURRENT - 1)); then
        flag=; known=; files=; _rlplay_values "$verb"
    fi
    if [[ $current == -* ]]; then known=$flags; files=; fi
    [[ -n $known ]] && compadd -- ${{=known}}
    [[ -z $files ]] || _files
}}
_rlplay_values() {{
    case "$1" in
{_body(verbs, "files=1")}
    esac
}}
compdef _rlplay rlplay
"""


def _fish(verbs: dict[str, tuple[str, list[_Flag]]]) -> str:
    lines = [_FISH_LAST, "complete -c rlplay -f"]
    for name, (help_text, flags) in verbs.items():
        lines.append(f"complete -c rlplay -n __fish_use_subcommand -a {name} -d {_fish_text(help_text)}")
        under = f"complete -c rlplay -n '__fish_seen_subcommand_from {name}'"
        for flag in flags:
            spelled = [
                f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" if len(one) == 2 else f"-o {one[1:]}"
                for one in flag.names
            ]
            values = ["-F"] if flag.values == (_FILES,) else [f"-a {_fish_text(' '.join(flag.values))}"]
            taken = [] if not flag.takes else values if flag.values else ["-x"]
            if flag.names:
                need = [] if not flag.takes or taken == ["-x"] else ["-r" if taken == ["-F"] else "-x"]
                lines.append(" ".join([under, *spelled, *need, *taken, "-d", _fish_text(flag.words)]))
            elif flag.values:
                lines.append(" ".join([under, *taken]))
            if flag.names and flag.takes > 1 and flag.values:  # fish itself completes the first value
                after = f"'__fish_seen_subcommand_from {name}; and contains -- (__rlplay_last) {' '.join(flag.names)}'"
                lines.append(" ".join(["complete -c rlplay -n", after, *taken]))
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
