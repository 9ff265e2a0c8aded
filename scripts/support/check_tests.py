"""Checks how the Python modules of the tests, scripts and measurements are named and imported.

    check_tests.py          exit code 1 where something is wrong

- no two modules have one name: which of them an import finds would depend on the path
- none imports with a star: a reader could not see where a name comes from
"""

import ast
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("Tests", "Benchmarks", "scripts")


def modules():
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def namesakes(paths) -> list:
    """What is wrong with the names of these modules."""
    first, wrong = {}, []
    for path in paths:
        if path.stem == "__init__":
            continue
        other = first.setdefault(path.stem, path)
        if other is not path:
            wrong.append(f"{path.relative_to(ROOT)}: is named as {other.relative_to(ROOT)}; name each after what it holds")
    return wrong


def star_imports(path) -> list:
    """What is wrong with the imports of a module."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: imports everything of {node.module}; import what is used by name"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]


def main():
    paths = modules()
    problems = namesakes(paths) + [problem for path in paths for problem in star_imports(path)]
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{len(paths)} Python modules have names of their own and import by name")


if __name__ == "__main__":
    main()
