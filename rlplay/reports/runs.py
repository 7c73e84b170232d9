"""A table of runs: what each was asked for, how far it is and what it scored, from what it wrote.

pandas.DataFrame(rlplay.runs("logs"))
"""

from __future__ import annotations

import contextlib
import csv
import operator
import re
import shutil
from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import yaml

from rlplay.errors import BusyError, RlplayError, UsageError, missing, unknown, warn
from rlplay.storage.files import as_path, atomic_writer, locked
from rlplay.storage.texts import plain_yaml
from rlplay.training.run_folder import RunFolder, read_evaluations

Row = dict[str, Any]
COLUMNS = ("run", "algo", "env", "seed", "n_timesteps", "timesteps", "finished", "last", "best", "steps_per_second",
           "megabytes", "written")  # fmt: skip
_COMPARISONS = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "==": operator.eq, "<": operator.lt, ">": operator.gt,
    "=": operator.eq,
}  # fmt: skip
KINDS = (".csv", ".parquet")


def runs(folder: str | Path = "logs") -> list[Row]:
    """The runs in a folder, a row each.

    Returns:
        Rows with run (its path), algo, env, seed, n_timesteps (asked for), timesteps (done), finished, last and best
        (mean return of an evaluation; None without), steps_per_second (of learning), megabytes, written (seconds since
        1970), and ``params.<name>`` for each hyperparameter; of a model or feature map its name, and its settings as
        ``params.features.<name>``. Trials of a study are in ``<folder>/tune/<study>``.

    Example:
        >>> runs("no/such/folder")
        []
    """
    rows = [_row(RunFolder(path)) for path in run_folders(folder)]
    return [row for row in rows if row is not None]


def run_folders(folder: str | Path) -> list[Path]:
    """The folders of the runs below a folder, by name and number; not those of a study's trials.

    Example:
        >>> run_folders("no/such/folder")
        []
    """
    top = as_path(folder)
    found = (path.parent.parent for path in top.glob("**/args.yml") if path.relative_to(top).parts[0] != "tune")
    return sorted(found, key=_by_number)


def _by_number(path: Path) -> tuple[str, int]:
    name, _, number = path.name.rpartition("_")
    return str(path.parent / name), int(number) if number.isdigit() else 0


def _row(run: RunFolder) -> Row | None:
    """A run as a row; None where it does not say what it was asked for, which is said."""
    try:
        asked = run.arguments()
    except RlplayError as error:
        warn(f"left out: {error.cause}")
        return None
    row: Row = dict.fromkeys(COLUMNS)
    row.update({"run": str(run.path), **{name: asked[name] for name in ("algo", "env", "seed", "n_timesteps")}})
    row["timesteps"], row["steps_per_second"] = run.done()
    if asked.get("imported") is True:  # it has no log, and what it has learned
        row["timesteps"] = asked["n_timesteps"]
    row["finished"] = row["timesteps"] >= asked["n_timesteps"]
    with contextlib.suppress(RlplayError):
        means = read_evaluations(run.path / "evaluations.npz").results.mean(axis=1)
        row["last"], row["best"] = float(means[-1]), float(means.max())
    files = [path.stat() for path in run.path.rglob("*") if path.is_file()]
    row["megabytes"] = round(sum(file.st_size for file in files) / 1e6, 3)
    row["written"] = max((file.st_mtime for file in files), default=0.0)
    with contextlib.suppress(RlplayError):
        for name, value in run.config().items():
            row.update(_flat(f"params.{name}", value))
    return row


def _flat(name: str, value: Any) -> Row:
    """A hyperparameter as columns: of a model its name, and each of its settings under it.

    Example:
        >>> _flat("params.features", {"model": "k-means", "params": {"n_clusters": 16}, "warm_up": 500})
        {'params.features': 'k-means', 'params.features.n_clusters': 16, 'params.features.warm_up': 500}
    """
    if not isinstance(value, dict):
        return {name: value}
    found: Row = {name: value["model"]} if isinstance(value.get("model"), str) else {}
    for key, one in value.items():
        if key != "model" or not found:
            found.update(_flat(name if key == "params" else f"{name}.{key}", one))
    return found


def columns_of(rows: Iterable[Row]) -> list[str]:
    """All columns of rows, the general ones first."""
    return list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))


def filtered(rows: Sequence[Row], conditions: Iterable[str]) -> list[Row]:
    """The rows for which all conditions hold, such as ``best>=400`` or ``params.alpha=0.1``.

    Raises:
        UsageError: a text that is no condition; a column that no run has.

    Example:
        >>> rows = [{"seed": 0, "best": 10.0}, {"seed": 1, "best": None}]
        >>> filtered(rows, ["best>5"])
        [{'seed': 0, 'best': 10.0}]
    """
    left = list(rows)
    for condition in conditions:
        split = re.fullmatch(r"\s*([\w.-]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", condition)
        if split is None:
            raise UsageError(f"--where {condition!r} is no condition", "For example --where 'best>=400'")
        name = require_column(rows, split[1])
        try:
            wanted = plain_yaml(split[3])
        except yaml.YAMLError as error:
            raise UsageError(f"--where {condition!r} compares with no literal") from error
        values = [row[name] for row in rows if row.get(name) is not None]
        if isinstance(wanted, str) and values and all(isinstance(value, int | float) for value in values):
            raise UsageError(f"--where {condition!r}: {name} is a number", f"For example --where '{name}>={values[0]}'")
        left = [row for row in left if _holds(row.get(name), _COMPARISONS[split[2]], wanted)]
    return left


def _holds(value: Any, compare: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and value is not None:
        value = str(value)
    try:
        return bool(compare(value, wanted))
    except TypeError:  # None, or a list, against a number
        return False


def require_column(rows: Sequence[Row], name: str) -> str:
    """A column's name, where runs have it; a hyperparameter's also without its prefix.

    Raises:
        UnknownNameError: no run has it.
    """
    known = columns_of(rows)
    for one in (name, f"params.{name}"):
        if one in known:
            return one
    raise unknown("column", name, known)


def export(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV or Parquet, by the ending.

    Raises:
        UsageError: another ending.
        MissingPackageError: Parquet without pyarrow.
    """
    if path.suffix not in KINDS:
        raise UsageError(f"{path} ends in neither {' nor '.join(KINDS)}", "Name runs.csv or runs.parquet")
    columns = columns_of(rows)
    if path.suffix == ".csv":
        text = StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue().encode(errors="backslashreplace")
    else:
        try:
            from pyarrow import parquet, table
        except ImportError as error:
            raise missing("Parquet files", "pyarrow", "parquet") from error
        buffer = BytesIO()
        parquet.write_table(table({name: _plain_column([row.get(name) for row in rows]) for name in columns}), buffer)
        content = buffer.getvalue()
    with atomic_writer(path) as file:
        file.write(content)


def _plain_column(values: list[Any]) -> list[Any]:
    """A column of one kind: numbers, truth values, or texts where they are mixed."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return [None if value is None else float(value) for value in values]
    if len(kinds) <= 1 and not kinds & {list, dict}:
        return values
    return [None if value is None else str(value) for value in values]


def remove(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Remove the folders of runs; those that are removed, and those that are being written and stay."""
    gone, busy = [], []
    for row in rows:
        path = Path(row["run"])
        try:
            with locked(path):
                shutil.rmtree(path)
            gone.append(row["run"])
        except BusyError:
            busy.append(row["run"])
    return gone, busy
