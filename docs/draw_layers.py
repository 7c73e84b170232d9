"""Draw the layers of the packages, with the imports between them, as a picture.

    python docs/draw_layers.py           writes docs/images/layers.svg, and the table in docs/architecture.md
    python docs/draw_layers.py --check   lists what is wrong, writes nothing
    python docs/draw_layers.py --root FOLDER -o FILE.png

The layers are the table ``[tool.rlplay] layers`` in pyproject.toml: a list of layers, the lowest first; a layer is a
list of prefixes of module names, and each prefix is one box. The longest prefix that fits a module is its box;
``package.__init__`` is the package's own ``__init__.py`` and nothing else. Imports count wherever they stand: at the
top of a module, inside a function, under ``TYPE_CHECKING``.

An arrow may only go to a lower layer. Arrows that go up or sideways are drawn in red and listed, modules that no prefix
fits are drawn in a row of their own and listed, and the exit code is then 1. The sources are read, not imported.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

UNKNOWN = "in no layer"
BEGIN, END = "<!-- layers: written by docs/draw_layers.py -->", "<!-- end of layers -->"
PAPER, BOX, EDGE, TEXT, QUIET, ARROW, WRONG = (
    "#fbfaf7", "#ffffff", "#8896a8", "#1d2a3a", "#66758a", "#3c6496", "#c22f2f",
)  # fmt: skip
BOX_WIDTH, BOX_HEIGHT, GAP, ROW, MARGIN = 1.62, 0.54, 0.44, 0.98, 0.95  # inches
CABLE = 0.2  # inches over which arrows that pass through one gap lie side by side
FANS = 0.72  # of a box's width over which its arrows are spread


@dataclass
class Graph:
    """What the picture shows.

    Attributes:
        layers: boxes of each layer, the lowest layer first.
        lines: lines of code files in each box.
        modules: number of modules in each box.
        arrows: ``(importer, imported) -> number of importing modules``, between boxes.
        places: ``(importer, imported) -> "module -> module"``, where an arrow comes from.
        unknown: modules that no prefix fits.
    """

    layers: list[list[str]]
    lines: Counter[str] = field(default_factory=Counter)
    modules: Counter[str] = field(default_factory=Counter)
    arrows: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def level(self, box: str) -> int:
        """The number of a box's layer; -1 for what stands in none."""
        return next((number for number, layer in enumerate(self.layers) if box in layer), -1)

    def wrong(self) -> list[tuple[str, str]]:
        """Arrows that do not go down."""
        return sorted((a, b) for a, b in self.arrows if UNKNOWN not in (a, b) and self.level(b) >= self.level(a))


def read_layers(root: Path) -> list[list[str]]:
    """The table of layers in a project's pyproject.toml.

    Raises:
        SystemExit: there is no such table, or a prefix stands in it twice.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers: list[list[str]] = project.get("tool", {}).get("rlplay", {}).get("layers", [])
    if not layers:
        raise SystemExit(
            f"{root / 'pyproject.toml'} has no layers under [tool.rlplay]. Add a list of lists of prefixes."
        )
    twice = [prefix for prefix, times in Counter(chain.from_iterable(layers)).items() if times > 1]
    if twice:
        raise SystemExit(f"{', '.join(twice)} stands in the table of layers twice. Leave one.")
    return layers


def find_modules(root: Path, packages: Iterable[str]) -> dict[str, Path]:
    """The files of the packages by the names of their modules."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def box_of(module: str, prefixes: Iterable[str]) -> str:
    """The longest prefix that fits a module.

    Example:
        >>> box_of("rlplay.storage.files", ["rlplay.__init__", "rlplay.storage"]), box_of("rlplay", ["rlplay.__init__"])
        ('rlplay.storage', 'rlplay.__init__')
    """
    fits = [p for p in prefixes if module == p.removesuffix(".__init__") or module.startswith(f"{p}.")]
    return max(fits, key=len, default=UNKNOWN)


def imported(source: str, module: str, modules: dict[str, Path]) -> Iterator[str]:
    """The modules among ``modules`` that a source imports, anywhere in it.

    ``from package import name`` means the module ``package.name`` where there is one, else ``package``.
    """
    is_package = module in modules and modules[module].name == "__init__.py"
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                home = ".".join([*parts, home] if home else parts)
            whole = [f"{home}.{alias.name}" for alias in node.names]
            names = [name if name in modules else home for name in whole]
        yield from (name for name in names if name in modules)


def read_graph(root: Path) -> Graph:
    """The boxes of a project's packages and the arrows between them."""
    graph = Graph(read_layers(root))
    prefixes = list(chain.from_iterable(graph.layers))
    modules = find_modules(root, dict.fromkeys(prefix.split(".")[0] for prefix in prefixes))
    for module, path in modules.items():
        box, source = box_of(module, prefixes), path.read_text(encoding="utf-8")
        graph.lines[box] += len(source.splitlines())
        graph.modules[box] += 1
        if box == UNKNOWN:
            graph.unknown.append(module)
        for other in sorted(set(imported(source, module, modules))):
            arrow = box, box_of(other, prefixes)
            if arrow[0] != arrow[1]:
                graph.arrows[arrow] += 1
                graph.places.setdefault(arrow, []).append(f"{module} -> {other}")
    return graph


def rows_of(graph: Graph) -> list[list[str]]:
    """The boxes in rows, the top layer last; what stands in no layer comes below the lowest."""
    rows = [[box for box in layer if graph.modules[box]] for layer in graph.layers]
    return [row for row in [[UNKNOWN] if graph.unknown else [], *rows] if row]


def place(rows: list[list[str]], arrows: Iterable[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """The centre of each box, in inches; boxes of a row stand in the order that keeps their arrows short."""
    width = max(len(row) for row in rows)
    at: dict[str, tuple[float, float]] = {}
    order = [list(row) for row in rows]
    near: dict[str, list[str]] = {}
    for a, b in arrows:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    for turn in range(8):
        for y, row in enumerate(order):
            if turn:
                row.sort(key=lambda box: sum(at[n][0] for n in near.get(box, [box])) / max(len(near.get(box, [1])), 1))
            for i, box in enumerate(row):
                at[box] = ((width - len(row)) / 2 + i) * (BOX_WIDTH + GAP), y * ROW
    left = min(x for x, _ in at.values())
    return {box: (x - left + BOX_WIDTH / 2 + MARGIN, y + ROW / 2) for box, (x, y) in at.items()}


def route(
    start: tuple[float, float], end: tuple[float, float], ports: dict[int, list[float]]
) -> list[tuple[float, float]]:
    """The way of an arrow over several rows: in each row between, through the gap that makes it shortest.

    Arrows that pass a row through the same gap come together there: so they are bundled.
    """
    first, last = round((start[1] - ROW / 2) / ROW), round((end[1] - ROW / 2) / ROW)
    between = range(first - 1, last, -1) if first > last else range(first + 1, last)
    ways: list[tuple[float, list[float]]] = [(0.0, [start[0]])]
    for row in between:
        ways = [
            min((cost + abs(x - way[-1]) ** 1.5, [*way, x]) for cost, way in ways) for x in ports[row]
        ]  # fmt: skip
    xs = min((cost + abs(end[0] - way[-1]) ** 1.5, way) for cost, way in ways)[1][1:]
    return [start, *((x, row * ROW + ROW / 2) for x, row in zip(xs, between, strict=True)), end]


def draw(graph: Graph, path: Path) -> None:
    """Write the picture; the kind of file goes by its ending."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path as Line

    matplotlib.rcParams.update({"svg.hashsalt": "layers", "font.family": "DejaVu Sans"})
    rows = rows_of(graph)
    at = place(rows, graph.arrows)
    width = max(x for x, _ in at.values()) + BOX_WIDTH / 2 + MARGIN * 0.45
    height = len(rows) * ROW + 0.55
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(-0.45, height - 0.45))
    axes.axis("off")
    ports = {}
    for number, row in enumerate(rows):
        xs = sorted(at[box][0] for box in row)
        edge = (BOX_WIDTH + GAP) / 2
        ports[number] = [xs[0] - edge, *(x + edge for x in xs)]

    def spread(box: str, others: list[str], other: str) -> float:
        """Where on a box's edge the arrow to ``other`` begins or ends."""
        ranked = sorted(others, key=lambda name: (at[name][0], at[name][1]))
        share = (ranked.index(other) + 1) / (len(ranked) + 1) - 0.5
        return at[box][0] + share * BOX_WIDTH * FANS

    out: dict[str, list[str]] = {}
    into: dict[str, list[str]] = {}
    for a, b in graph.arrows:
        out.setdefault(a, []).append(b)
        into.setdefault(b, []).append(a)
    wrong = set(graph.wrong())
    strands = sorted(graph.arrows, key=lambda arrow: (at[arrow[1]], at[arrow[0]]))
    for (a, b), times in sorted(graph.arrows.items(), key=lambda item: (item[0] in wrong, item)):
        strand = ((strands.index((a, b)) + 0.5) / len(strands) - 0.5) * CABLE
        down = at[a][1] > at[b][1]
        side = BOX_HEIGHT / 2 * (1 if down else -1)
        start = spread(a, out[a], b), at[a][1] - side
        end = spread(b, into[b], a), at[b][1] + side
        way = route((start[0], at[a][1]), (end[0], at[b][1]), ports)
        points = [start, *((x + strand, y) for x, y in way[1:-1]), end]
        codes, corners = [Line.MOVETO], [start]
        for (x0, y0), (x1, y1) in pairwise(points):
            half = (y1 - y0) * 0.5 or 0.5
            corners += [(x0, y0 + half), (x1, y1 - half if y1 != y0 else y1 + half), (x1, y1)]
            codes += [Line.CURVE4] * 3
        bad, both = (a, b) in wrong, UNKNOWN in (a, b)
        axes.add_patch(
            PathPatch(
                Line(corners, codes),
                fill=False,
                edgecolor=WRONG if bad else QUIET if both else ARROW,
                linewidth=min(0.4 + 0.08 * times, 1.6) + 0.7 * bad,
                alpha=0.95 if bad else 0.42,
                capstyle="round",
                zorder=3 if bad else 1,
            )
        )
        axes.plot(*end, marker="v" if down else "^", markersize=2.6, color=WRONG if bad else ARROW, alpha=0.8, zorder=3)
    for number, row in enumerate(rows):
        y = number * ROW + ROW / 2
        if number % 2:
            axes.axhspan(y - ROW / 2, y + ROW / 2, color="#1d2a3a", alpha=0.028, linewidth=0, zorder=0)
        label = "?" if row == [UNKNOWN] else str(graph.level(row[0]) + 1)
        axes.text(0.3, y, label, ha="center", va="center", fontsize=10, color=QUIET)
        for box in row:
            x, _ = at[box]
            corner = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2
            edge_color, shape = WRONG if box == UNKNOWN else EDGE, "round,pad=0,rounding_size=0.07"
            axes.add_patch(
                FancyBboxPatch(
                    corner, BOX_WIDTH, BOX_HEIGHT, shape, facecolor=BOX, edgecolor=edge_color, linewidth=0.9, zorder=4
                )
            )
            axes.text(x, y + 0.085, name_of(box), ha="center", va="center", fontsize=9.5, color=TEXT, zorder=5)
            axes.text(x, y - 0.135, size_of(graph, box), ha="center", va="center", fontsize=6.8, color=QUIET, zorder=5)
    words = (
        f"{sum(graph.modules.values())} modules in {len(at)} boxes, {len(graph.arrows)} arrows between boxes.\n"
        "An arrow goes from the importer to the imported; the thicker, the more modules import."
    )
    axes.text(width / 2, -0.16, words, ha="center", va="center", fontsize=7.2, color=QUIET, linespacing=1.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=PAPER, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def name_of(box: str) -> str:
    """What stands in a box: a package's name, or a folder's or file's without its package.

    Example:
        >>> name_of("agents"), name_of("rlplay.storage"), name_of("rlplay.__init__")
        ('agents', 'storage', 'rlplay')
    """
    return box.removesuffix(".__init__").removeprefix("rlplay.")


def size_of(graph: Graph, box: str) -> str:
    """The size of a box in words."""
    files = graph.modules[box]
    return f"{graph.lines[box]:,} lines" + (f", {files} files" if files > 1 else "")


def table(graph: Graph, root: Path) -> str:
    """The layers as a Markdown table, the top one first: each box with the first line of its docstring."""
    modules = find_modules(root, {box.split(".")[0] for box in graph.modules})
    lines = ["| layer | | what it is |", "|---|---|---|"]
    for row in reversed(rows_of(graph)):
        for number, box in enumerate(box for box in row if box != UNKNOWN):
            docstring = ast.get_docstring(ast.parse(modules[box.removesuffix(".__init__")].read_text("utf-8"))) or ""
            sentence = docstring.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            lines.append(f"| {'' if number else graph.level(box) + 1} | `{box}` | {sentence} |")
    return "\n".join(lines) + "\n"


def with_table(page: str, rows: str) -> str:
    """A page with the table between its two marks in place of the one that stands there."""
    return re.sub(f"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", lambda _: f"\n{rows}\n", page, flags=re.S)


def faults(graph: Graph) -> list[str]:
    """What is wrong, a line each."""
    found = [f"in no layer: {module}" for module in graph.unknown]
    for a, b in graph.wrong():
        way = "up" if graph.level(b) > graph.level(a) else "sideways"
        found += [f"{way} from {a} to {b}: {place}" for place in graph.places[a, b]]
    return found


def main(words: list[str] | None = None) -> int:
    """Draw, and say what is wrong."""
    here = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=here, help="folder of pyproject.toml and the packages")
    parser.add_argument("-o", "--output", type=Path, default=None, help="default: docs/images/layers.svg in the root")
    parser.add_argument("--check", action="store_true", help="list what is wrong, draw nothing")
    given: Any = parser.parse_args(words)
    graph = read_graph(given.root)
    if not given.check:
        path = given.output or given.root / "docs" / "images" / "layers.svg"
        draw(graph, path)
        page = given.root / "docs" / "architecture.md"
        if page.exists() and given.output is None:
            page.write_text(with_table(page.read_text("utf-8"), table(graph, given.root)), encoding="utf-8")
        print(f"{path}: {len(graph.arrows)} arrows between {len(graph.modules)} boxes")
    wrong = faults(graph)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
