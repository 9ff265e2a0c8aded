"""What llvm-cov exported, as a table by module and a list of the functions that no test reaches.

    coverage_by_module.py coverage.json
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

SOURCES = pathlib.Path(__file__).resolve().parent.parent.parent / "Sources"


def module_of(path: str) -> str | None:
    """The folder below Sources; None for what is generated, C or not ours."""
    file = pathlib.Path(path)
    if SOURCES not in file.parents or file.suffix != ".swift":
        return None
    return file.relative_to(SOURCES).parts[0]


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:6.1f} %" if whole else "     -  "


def print_table(files) -> None:
    modules = collections.defaultdict(collections.Counter)
    for file in files:
        module = module_of(file["filename"])
        if module is None:
            continue
        for name in (module, "all"):
            for kind in ("lines", "regions"):
                modules[name][kind] += file["summary"][kind]["count"]
                modules[name][kind + " reached"] += file["summary"][kind]["covered"]
    print(f"{'module':<20}{'lines':>8}{'reached':>10}{'regions':>10}{'reached':>10}")
    for name in sorted(modules, key=lambda name: (name == "all", name)):
        row = modules[name]
        print(
            f"{name:<20}{row['lines']:>8}{share(row['lines reached'], row['lines']):>10}"
            f"{row['regions']:>10}{share(row['regions reached'], row['regions']):>10}"
        )


def unreached(functions) -> list:
    """Functions of ours with a count of 0 in every copy: (file, line, mangled name)."""
    counts, names = collections.Counter(), {}
    for function in functions:
        path = function["filenames"][0]
        if module_of(path) is None:
            continue
        line, column = function["regions"][0][:2]
        place = (str(pathlib.Path(path).relative_to(SOURCES.parent)), line, column)
        counts[place] += function["count"]
        names.setdefault(place, function["name"].rsplit(":", 1)[-1])
    return sorted((file, line, names[place]) for place, count in counts.items() if count == 0 for file, line, _ in [place])


def demangled(names) -> list:
    if not names:
        return []
    text = subprocess.check_output(["swift", "demangle", "--simplified"], input="\n".join(names), text=True)
    return text.splitlines()


def main() -> None:
    exported = json.loads(pathlib.Path(sys.argv[1]).read_text())["data"][0]
    print_table(exported["files"])
    found = unreached(exported["functions"])
    named = list(zip(found, demangled([name for _, _, name in found])))
    whole = [entry for entry in named if not re.search(r"closure #|variable initialization", entry[1])]
    print(f"\nFunctions that no test reaches ({len(whole)}, and {len(named) - len(whole)} closures and initial values):")
    for (file, line, _), name in whole:
        print(f"  {file}:{line}  {name}")


if __name__ == "__main__":
    main()
