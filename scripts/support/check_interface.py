"""Checks that nothing which others rely on has vanished, and that nothing is added unseen.

    check_interface.py            exit code 1 where docs/interface.txt and what is there differ
    check_interface.py --write    adds to docs/interface.txt what is new; takes nothing out of it

docs/interface.txt lists, a line each, what docs/compatibility.md promises: commands, options and their values,
settings, exit codes, Redis keys and fields, members of reports and other JSON, metrics with their labels, paths over
HTTP, members of the catalog, and the public symbols of the library Envelope. They are read from the binary's own
description of its commands (REENCRYPT_BINARY, or the release build), from the documents, and from the debug build's
symbol graph.

Command lines in the documents are compared with the same description: subcommands and options have to exist.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import check_docs

ROOT = check_docs.ROOT
LIST = ROOT / "docs/interface.txt"
SPAN = re.compile(r"`([^`]+)`")


def document(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(text, *header):
    """The rows of the tables with this header."""
    found = [row for head, rows in check_docs.tables(text) if head[: len(header)] == list(header) for _, row in rows]
    if not found:
        sys.exit(f"no table is headed {' | '.join(header)} any more: mend the document or this check")
    return found


def section(text, heading):
    match = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        sys.exit(f"no section is headed {heading} any more: mend the document or this check")
    return match[1]


# Command line


def commands(binary):
    help = subprocess.run([binary, "--experimental-dump-help"], capture_output=True, timeout=60, check=True).stdout
    yield from command(json.loads(help)["command"], [])


def command(description, path):
    name = " ".join(path)
    if path:
        yield f"command {name}"
    for argument in description.get("arguments", []):
        names = [("--" if name["kind"] == "long" else "-") + name["name"] for name in argument.get("names", [])]
        if argument["kind"] == "positional" or not argument["shouldDisplay"]:
            continue
        place = f"{name} " if name else ""
        for spelling in names:
            yield f"option {place}{spelling}"
        for value in argument.get("allValues", []):
            yield f"option {place}{max(names, key=len)} {value}"
    for subcommand in description.get("subcommands", []):
        if subcommand["commandName"] != "help":
            yield from command(subcommand, [*path, subcommand["commandName"]])


def settings(sources):
    for name in sorted(set(re.findall(r'"((?:SECRETS|DATABASE|REDIS|REENCRYPT)_[A-Z_]+)"', sources))):
        if not name.endswith("_FILE"):
            yield f"setting {name}"
            yield f"setting {name}_FILE"


def exit_codes():
    for row in table(section(document("contract.md"), "4. Commands"), "exit code"):
        for code in row[0].split("/"):
            yield f"exit code {code.strip()}"


# Redis


def redis_keys():
    text = document("redis-keys.md")
    for row in table(section(text, "Keys"), "key, after `reencrypt:{default}:`"):
        for key in SPAN.findall(row[0]) if "*internal*" not in row[2] else []:
            yield f"redis key {key} ({row[1]})"
    for row in table(section(text, "`progress`"), "field"):
        yield f"redis progress {SPAN.findall(row[0])[0]}"
        if SPAN.findall(row[0])[0] in ("state", "mode"):
            for value in SPAN.findall(row[2]):
                yield f"redis progress {SPAN.findall(row[0])[0]} {value}"
    for row in table(section(text, "`workers`, `worker:<id>`"), "field"):
        for field in SPAN.findall(row[0]):
            yield f"redis worker {field}"
    value = re.search(r"Value: (.*?);", section(text, "`failures`"), re.DOTALL)
    for member in SPAN.findall(value[1]):
        yield f"redis failures {member}"
    for row in table(section(text, "`events`"), "`kind`"):
        for kind in SPAN.findall(row[0]):
            yield f"redis event {kind}"
            for field in SPAN.findall(row[1]):
                yield f"redis event {kind} {field}"


# JSON


def report_members():
    schema = json.loads((ROOT / "docs/report.schema.json").read_text(encoding="utf-8"))
    for name, definition in schema["$defs"].items():
        if name in ("verification", "job"):
            yield from members(definition, f"report {name}", schema["$defs"])


def members(schema, path, definitions):
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from members(definitions[schema["$ref"].rsplit("/", 1)[1]], path, definitions)
    for value in schema.get("enum", []):
        if isinstance(value, str):
            yield f"{path} = {value}"
    if isinstance(schema.get("const"), (str, int)):
        yield f"{path} = {schema['const']}"
    for choice in schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from members(choice, path, definitions)
    for name, member in schema.get("properties", {}).items():
        if member is not False:
            place = f"{path} {name}" if path.count(" ") == 1 else f"{path}.{name}"
            yield place
            yield from members(member, place, definitions)
    yield from members(schema.get("items"), f"{path}[]", definitions)


def other_json():
    for row in table(document("compatibility.md"), "output", "members"):
        for member in SPAN.findall(row[1]):
            yield f"json {SPAN.findall(row[0])[0]}: {member}"


# Metrics, HTTP, catalog


def metrics():
    for header, rows in check_docs.tables(document("metrics.md")):
        if header[0] != "metric":
            continue
        for _, row in rows:
            for name in SPAN.findall(row[0]):
                yield f"metric {name}"
                for label in SPAN.findall(row[header.index("labels")]) if "labels" in header else []:
                    yield f"metric {name} {label}"


# What the page says to its own server.
PAGE = {"/", "/login", "/events", "/failures"}


def paths(sources):
    for method, path in re.findall(r'routes\.(get|post)\("((?:[^"\\]|\\\([^)]*\))+)"\)', sources):
        # A path for each of several values: `/control/\(order.rawValue)` is `/control/:order`.
        path = re.sub(r"\\\((\w+)[^)]*\)", r":\1", path)
        if path not in PAGE:
            yield f"http {method.upper()} {path}"


def catalog_members(sources):
    for keys in re.findall(r'keys(?:: | = )\[((?:"[a-z_]+"(?:, )?)+)\]', sources):
        for key in re.findall(r'"([a-z_]+)"', keys):
            yield f"catalog {key}"


# The library


def symbols():
    with tempfile.TemporaryDirectory() as folder:
        script = f"source scripts/support/requirements.sh; symbol_graph {folder}"
        result = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
        if result.returncode != 0:
            sys.exit(f"no symbol graph of Envelope: {result.stderr.strip()}; build first: swift build")
        graph = json.loads((pathlib.Path(folder) / "Envelope.symbols.json").read_text(encoding="utf-8"))
    for symbol in graph["symbols"]:
        # What the standard library derives is none of ours to promise.
        if "::SYNTHESIZED::" in symbol["identifier"]["precise"]:
            continue
        fragments = "".join(fragment["spelling"] for fragment in symbol["declarationFragments"])
        owner = ".".join(symbol["pathComponents"][:-1])
        yield f"library {owner + ': ' if owner else ''}{' '.join(fragments.split())}"


def interface(binary):
    files = [*check_docs.source_files(), *sorted((ROOT / "Sources").rglob("*.lua"))]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    found = [
        *commands(binary), *settings(sources), *exit_codes(), *redis_keys(), *report_members(), *other_json(),
        *metrics(), *paths(sources), *catalog_members(sources), *symbols(),
    ]  # fmt: skip
    for line in found:
        check_that_it_is_there(line, sources)
    return list(dict.fromkeys(found))


def check_that_it_is_there(line, sources):
    """What only the documents name has to be a word of the source as well."""
    if not line.startswith(("redis ", "metric ", "json ")):
        return
    word = re.split(r"[:<(]", line.removeprefix("redis key "))[0] if line.startswith("redis key ") else line.split()[-1]
    # JSON members are spelled in camel case in the source, where an encoder translates.
    camel = re.sub(r"_([a-z])", lambda match: match[1].upper(), word)
    # An end's kind is `job_` and the state.
    words = [word.removeprefix("job_")] if line.startswith("redis event job_") else [word.strip(), camel]
    if not re.search(rf"\b(?:{'|'.join(map(re.escape, words))})\b", sources):
        sys.exit(f"docs: {line} is nowhere in Sources/")


# Examples

# Asked of every command by the library that parses the command line.
ANYWHERE = {"--help", "-h", "--version", "--generate-completion-script"}
COMMAND_LINE = re.compile(r"(?:^\s*(?:\$ )?|&& |`)reencrypt-secrets((?: +[^\s`|>&;()#…]+)+)")
# What stands behind the program's name where it is a session's, a domain's or a version's.
NAMES = {"help", "leader", "pace", "vacuum", "verifier", "key"}


class CommandLines:
    """What may be typed, by the binary's description."""

    def __init__(self, names):
        self.commands = {tuple(name.split()[1:]) for name in names if name.startswith("command ")}
        self.options = {tuple(name.split()[1:]) for name in names if name.startswith("option ")}

    def fault(self, words):
        command = ()
        rest = list(words)
        while rest and (*command, rest[0]) in self.commands:
            command = (*command, rest.pop(0))
        if not command:
            if not rest[0].startswith("-"):
                return None if rest[0] in NAMES else f"there is no command {rest[0]}"
            command = ("run",)
        if command == ("failures",):
            command = ("failures", "list")
        for word in rest:
            option = word.split("=", 1)[0].rstrip(",.:")
            if re.match(r"--?[a-z]", option) and option not in ANYWHERE and (*command, option) not in self.options:
                return f"`{' '.join(command)}` has no option {option}"
        return None


def check_examples(names):
    lines = CommandLines(names)
    count = 0
    faults = []
    for path in check_docs.documents():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = [match.split() for match in COMMAND_LINE.findall(line)]
            # In a sentence the program's name goes without saying: `verify --depth values`.
            found += [
                span.split() for span in SPAN.findall(line) if " -" in span and (span.split()[0],) in lines.commands
            ]
            for words in found:
                count += 1
                fault = lines.fault(words)
                if fault:
                    faults.append(f"{check_docs.relative(path)}:{number}: {fault}")
    return count, faults


def main():
    binary = pathlib.Path(os.environ.get("REENCRYPT_BINARY") or ROOT / ".build/release/reencrypt-secrets")
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not there: build it, or set REENCRYPT_BINARY")
    found = interface(str(binary.resolve()))
    listed = LIST.read_text(encoding="utf-8").splitlines() if LIST.exists() else []
    vanished = [line for line in listed if line not in set(found)]
    added = [line for line in found if line not in set(listed)]
    for line in vanished:
        print(f"error: {line}: has vanished, and docs/compatibility.md promises it", file=sys.stderr)
    if vanished:
        print(
            "A promise is broken. Bring it back; or, where the version may break it (docs/compatibility.md), take the "
            "line out of docs/interface.txt by hand and say so in CHANGELOG.md under Removed.",
            file=sys.stderr,
        )
    if added and "--write" in sys.argv[1:]:
        LIST.write_text("".join(f"{line}\n" for line in sorted([*listed, *added])), encoding="utf-8")
        print(f"{len(added)} lines added to docs/interface.txt; say so in CHANGELOG.md under Added")
    elif added:
        for line in added:
            print(f"error: {line}: is not in docs/interface.txt", file=sys.stderr)
        print(
            "Once released it is a promise. If it is meant: scripts/support/check_interface.py --write, and a line in "
            "CHANGELOG.md.",
            file=sys.stderr,
        )
    examples, faults = check_examples(found)
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if vanished or faults or (added and "--write" not in sys.argv[1:]):
        sys.exit(1)
    print(f"{len(found)} names of the interface are as docs/interface.txt promises; {examples} command lines exist")


if __name__ == "__main__":
    main()
