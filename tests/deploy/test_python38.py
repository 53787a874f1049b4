"""What goes into the edge bundle can be read by Python 3.8, which a Jetson with JetPack 5 has."""

import ast
import builtins
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "companion"
BUNDLE = [
    *(PACKAGE / f"{name}.py" for name in ("policy_card", "signals", "menu")),
    *(PACKAGE / "robots" / f"{name}.py" for name in ("__init__", "_sensing", "turtlebot3", "ur5e")),
    *sorted((PACKAGE / "deploy").glob("*.py")),
    *sorted((PACKAGE / "deploy" / "profiles").glob("*.py")),
    *sorted((PACKAGE / "deploy" / "senses").glob("*.py")),
]
GENERICS = {"tuple", "list", "dict", "set", "frozenset", "type"}
TOO_NEW = {"removeprefix", "removesuffix", "is_relative_to", "readlink", "zip_longest_strict"}


@pytest.mark.parametrize("path", BUNDLE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_it_is_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    assert not list(_too_new(tree))


def _too_new(tree: ast.Module):
    """What Python 3.8 stumbles over at run time: newer methods, and generics outside annotations."""
    for node in _run(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in GENERICS:
            yield f"{node.value.id}[…] in line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr in TOO_NEW:
            yield f"{node.attr} in line {node.lineno}"
        if isinstance(node, ast.Call) and any(one.arg in ("strict", "slots", "kw_only") for one in node.keywords):
            yield f"a keyword in line {node.lineno}"
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.BitOr)
            and _is_type(node.left)
            and _is_type(node.right)
        ):
            yield f"X | Y in line {node.lineno}"


def _is_type(node: ast.expr) -> bool:
    is_builtin = isinstance(node, ast.Name) and isinstance(getattr(builtins, node.id, None), type)
    return is_builtin or (isinstance(node, ast.Constant) and node.value is None)


def _run(node: ast.AST):
    """All nodes but annotations, and what is for type checkers only."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _run(child)
