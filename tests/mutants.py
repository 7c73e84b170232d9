"""Wrong answers to an exercise: its answer with one thing changed."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_METHODS = ("max", "min", "mean", "sum", "std", "argmax", "argmin")


def mutants(answer: str, code: str) -> Iterator[str]:
    """The expression with one operator, operand, name, number, sign or method changed.

    Args:
        answer: an expression.
        code: the function that it stands in, whose names may be mixed up.
    """
    inside = ast.walk(ast.parse(code.partition("\ncases")[0]))
    names = {
        node.arg if isinstance(node, ast.arg) else node.id for node in inside if isinstance(node, ast.arg | ast.Name)
    }
    names -= {"np", "math", "len", "range", "enumerate", "reversed"}
    tree = ast.parse(answer, mode="eval")
    for place, node in enumerate(ast.walk(tree)):
        for other in _instead(node, names):
            changed = copy.deepcopy(tree)
            _Put(list(ast.walk(changed))[place], other).visit(changed)
            yield ast.unparse(ast.fix_missing_locations(changed))


def _instead(node: ast.AST, names: set[str]) -> Iterator[ast.expr]:
    """What may stand in place of a part of an expression by mistake."""
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right, ast.BinOp(node.right, node.op, node.left))
        yield from (ast.BinOp(node.left, op(), node.right) for op in _OPERATORS if not isinstance(node.op, op))
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse, ast.IfExp(node.test, node.orelse, node.body))
    if isinstance(node, ast.Constant):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1), ast.Constant(node.value * 2))
    if isinstance(node, ast.Name) and node.id in names:
        yield from (ast.Name(name) for name in sorted(names - {node.id}))
    if isinstance(node, ast.Call):
        yield from node.args
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            for name in _METHODS:
                yield ast.Call(ast.Attribute(node.func.value, name), node.args, node.keywords)
    if isinstance(node, ast.BinOp | ast.Call | ast.Subscript):
        yield ast.UnaryOp(ast.USub(), node)
        yield from (ast.BinOp(node, op(), ast.Constant(2)) for op in (ast.Add, ast.Sub, ast.Mult, ast.Pow))


class _Put(ast.NodeTransformer):
    """Puts an expression in place of a node."""

    def __init__(self, node: ast.AST, other: ast.expr) -> None:
        self._node, self._other = node, other

    def visit(self, node: ast.AST) -> ast.AST:
        return self._other if node is self._node else self.generic_visit(node)
