"""Fail when a module, function or class outgrows what a reader can hold.

Usage: python tools/check_sizes.py SRC_DIR [...]
(exit status 1 when a limit is passed)
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6
METHODS_PER_CLASS_MAX = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


def breaches(path: Path) -> Iterator[str]:
    """Yield one sentence for each limit that the module passes."""
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > MODULE_LINES_MAX:
        yield f"{path}: {lines} lines, the limit is {MODULE_LINES_MAX}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(child, Function) for child in node.body)
            if methods > METHODS_PER_CLASS_MAX:
                yield f"{path}:{node.lineno}: class {node.name} has {methods} methods"
        elif isinstance(node, Function):
            yield from _function_breaches(path, node)


def _function_breaches(path: Path, node: Function) -> Iterator[str]:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if length > FUNCTION_LINES_MAX:
        yield f"{path}:{node.lineno}: {node.name} is {length} lines long"
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    count = sum(argument.arg not in {"self", "cls"} for argument in arguments)
    if count > PARAMETERS_MAX and not _is_edge_signature(node):
        yield f"{path}:{node.lineno}: {node.name} takes {count} parameters"


def _is_edge_signature(node: Function) -> bool:
    """Tell whether a framework reads the signature as the interface itself.

    A command's parameters are its options and a route's are its query fields: they
    cannot be grouped without losing the generated help.
    """
    return any(
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr
        in {"command", "get", "post", "put", "patch", "delete", "callback"}
        for decorator in node.decorator_list
    )


def main(roots: list[str]) -> int:
    """Print every breach under the given directories."""
    paths = (path for root in roots for path in sorted(Path(root).rglob("*.py")))
    found = [breach for path in paths for breach in breaches(path)]
    print("\n".join(found) or "sizes: within limits")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
