"""What goes into the edge bundle can be read by Python 3.8, which a Jetson with JetPack 5 has.

No Python 3.8 is needed for this. test_bundle.py runs the bundle in the oldest Python that is found.
"""

import ast
import builtins
from pathlib import Path

import pytest

from companion.cli._bundle import runtime_files

PACKAGE = Path(__file__).parents[2] / "python" / "companion"
BUNDLE = runtime_files()
GENERICS = {"tuple", "list", "dict", "set", "frozenset", "type"}
TOO_NEW = {"removeprefix", "removesuffix", "is_relative_to", "readlink", "with_stem", "bit_count", "randbytes"}
TOO_NEW_NAMES = {
    "functools": {"cache"},
    "itertools": {"pairwise", "batched"},
    "math": {"lcm", "nextafter", "ulp"},
    "typing": {"Annotated", "ParamSpec", "TypeAlias", "TypeGuard", "Self", "assert_never", "override"},
}


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
        if isinstance(node, ast.ImportFrom) and (new := _names(node) & TOO_NEW_NAMES.get(node.module or "", set())):
            yield f"{new} in line {node.lineno}"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and _is_dict(node.left, node.right):
            yield f"dict | dict in line {node.lineno}"
        if isinstance(node, ast.Call) and any(one.arg in ("strict", "slots", "kw_only") for one in node.keywords):
            yield f"a keyword in line {node.lineno}"
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.BitOr)
            and _is_type(node.left)
            and _is_type(node.right)
        ):
            yield f"X | Y in line {node.lineno}"


def _names(node: ast.ImportFrom) -> set[str]:
    return {one.name for one in node.names}


def _is_dict(*nodes: ast.expr) -> bool:
    return any(isinstance(node, ast.Dict | ast.DictComp) for node in nodes)


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
