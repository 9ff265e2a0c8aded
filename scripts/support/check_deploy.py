"""Checks the files of deploy/ without Docker, a cluster or systemd running.

    check_deploy.py        exit code 1 where something is wrong; the binary is REENCRYPT_BINARY, or the release build

- every YAML file parses (needs python3-yaml; without it these files are skipped, and it says so)
- every command line of a container or unit uses a subcommand and options that the binary's --help lists
- every environment variable is one that the binary's --help or docs/contract.md knows, or libpq's own
- every file that a …_FILE variable names is mounted from a secret, and the secret's example has it
- units parse; systemd-analyze verify and kubectl kustomize agree, where these are installed
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    yaml = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OUR_VARIABLE = re.compile(r"(SECRETS|DATABASE|REDIS|REENCRYPT)_[A-Z_]+")
LIBPQ_VARIABLE = re.compile(r"PG[A-Z]+")
SECTIONS = {"Unit", "Service", "Install"}

problems = []
notes = []


def complain(place, message):
    problems.append(f"{place}: {message}")


def relative(path):
    return str(path.relative_to(ROOT))


# What the binary knows


class Tool:
    """Subcommands, options and settings, by the binary's own help."""

    def __init__(self, binary):
        self.binary = binary
        self.options = {}
        self.text = ""
        self._explore([])

    def _help(self, command):
        result = subprocess.run([self.binary, *command, "--help"], capture_output=True, text=True, timeout=60)
        if result.returncode != 0:
            sys.exit(f"{self.binary} {' '.join(command)} --help ended with {result.returncode}: {result.stderr}")
        return result.stdout

    def _explore(self, command):
        text = self._help(command)
        self.text += text
        self.options[tuple(command)] = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))
        _, _, subcommands = text.partition("SUBCOMMANDS:")
        for name in re.findall(r"^  ([a-z]+)(?: \(default\))?\s{2,}", subcommands, re.MULTILINE):
            self._explore([*command, name])

    def check(self, place, arguments):
        """A command line without the program's name; `$VARIABLE` words stand for anything."""
        command = []
        rest = list(arguments)
        while rest and tuple([*command, rest[0]]) in self.options:
            command.append(rest.pop(0))
        if not command and rest and not rest[0].startswith("-"):
            complain(place, f"unknown subcommand {rest[0]}")
            return
        for word in rest:
            option = word.split("=", 1)[0]
            if option.startswith("-") and option not in self.options[tuple(command)]:
                complain(place, f"`{' '.join(command)}` has no option {option}")


def check_variable(place, name, known_text):
    base = name.removesuffix("_FILE")
    if LIBPQ_VARIABLE.fullmatch(name):
        return
    if OUR_VARIABLE.fullmatch(name) and not re.search(rf"\b{base}\b", known_text):
        complain(place, f"{name} is no setting of the tool")


# YAML


def load_yaml(path):
    try:
        return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]
    except yaml.YAMLError as error:
        complain(relative(path), f"is no YAML: {error}")
        return []


def check_secret_files(place, environment, folder_keys):
    """`folder_keys`: what is mounted, as path -> whether it is there."""
    for name, value in environment.items():
        if name.endswith("_FILE") and OUR_VARIABLE.fullmatch(name) and value not in folder_keys:
            complain(place, f"{name} names {value}, which no secret provides")


def check_compose(path, tool, known_text):
    for document in load_yaml(path):
        secrets = set(document.get("secrets", {}))
        for name, service in document["services"].items():
            place = f"{relative(path)}, service {name}"
            for secret in service.get("secrets", []):
                if secret not in secrets:
                    complain(place, f"the secret {secret} is not defined")
            if service.get("image") != "reencrypt-secrets":
                continue
            environment = service.get("environment", {})
            for variable in environment:
                check_variable(place, variable, known_text)
            check_secret_files(place, environment, {f"/run/secrets/{secret}" for secret in service["secrets"]})
            tool.check(place, service["command"])


def check_manifests(paths, tool, known_text):
    documents = [(path, document) for path in paths for document in load_yaml(path)]
    secret_keys = {
        document["metadata"]["name"]: set(document["stringData"])
        for _, document in documents
        if document.get("kind") == "Secret"
    }
    for path, document in documents:
        place = f"{relative(path)}, {document.get('kind')}"
        if "apiVersion" not in document or "kind" not in document:
            complain(relative(path), "is no manifest: apiVersion and kind are missing")
        for reference in document.get("spec", {}).get("secretTargetRef", []):
            if reference["key"] not in secret_keys.get(reference["name"], set()):
                complain(place, f"the secret {reference['name']} has no {reference['key']}")
        pod = document.get("spec", {}).get("template", {}).get("spec")
        if pod is None:
            continue
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            files = set()
            for mount in container.get("volumeMounts", []):
                volume = volumes.get(mount["name"])
                if volume is None:
                    complain(place, f"the volume {mount['name']} is not defined")
                elif "secret" in volume:
                    name = volume["secret"]["secretName"]
                    files |= {f"{mount['mountPath']}/{key}" for key in secret_keys.get(name, set())}
            environment = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
            for variable in environment:
                check_variable(place, variable, known_text)
            check_secret_files(place, environment, files)
            tool.check(place, container["args"])


def check_kustomize(folder):
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        notes.append("kubectl is not installed: kustomizations were not put together")
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "kubernetes"
        shutil.copytree(folder, copy)
        shutil.copy(DEPLOY / "encrypted-tables.example.yaml", copy / "encrypted-tables.yaml")
        kustomization = copy / "kustomization.yaml"
        plain = kustomization.read_text(encoding="utf-8")
        for text in (plain, plain.replace("# components:", "components:")):
            kustomization.write_text(text, encoding="utf-8")
            result = subprocess.run([kubectl, "kustomize", str(copy)], capture_output=True, text=True, timeout=120)
            if result.returncode != 0:
                complain(relative(folder), f"kubectl kustomize: {result.stderr.strip()}")


# systemd


def unit_entries(path):
    """Section, key and value of each entry, in order."""
    section = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        heading = re.fullmatch(r"\[(\w+)\]", line)
        if heading:
            section = heading[1]
            if section not in SECTIONS:
                complain(f"{relative(path)}:{number}", f"unknown section {section}")
            continue
        key, separator, value = line.partition("=")
        if not separator or section is None:
            complain(f"{relative(path)}:{number}", "is neither a section nor key=value")
            continue
        yield section, key.strip(), value.strip()


def check_unit(path, tool, known_text):
    entries = list(unit_entries(path))
    place = relative(path)
    credentials = {value.split(":", 1)[0] for _, key, value in entries if key == "LoadCredential"}
    environment = dict(value.split("=", 1) for _, key, value in entries if key == "Environment")
    for variable in environment:
        check_variable(place, variable, known_text)
    check_secret_files(place, environment, {f"%d/{credential}" for credential in credentials})
    commands = [value.split() for _, key, value in entries if key == "ExecStart"]
    if len(commands) != 1:
        complain(place, "has not exactly one ExecStart")
    for command in commands:
        if pathlib.PurePath(command[0]).name != "reencrypt-secrets":
            complain(place, f"starts {command[0]}")
        tool.check(place, command[1:])


def verify_units(paths, binary):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        notes.append("systemd-analyze is not installed: units were parsed here alone")
        return
    with tempfile.TemporaryDirectory() as scratch:
        units = []
        for path in paths:
            # The program of the unit has to exist for this check.
            text = path.read_text(encoding="utf-8").replace("/usr/local/bin/reencrypt-secrets", str(binary))
            copy = pathlib.Path(scratch) / path.name
            copy.write_text(text, encoding="utf-8")
            units.append(str(copy).replace("@.service", "@1.service"))
        result = subprocess.run(
            [analyze, "verify", "--man=no", *units], capture_output=True, text=True, timeout=120,
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{scratch}:"},
        )  # fmt: skip
        # It looks at the machine's own units too: only lines about ours count.
        names = {path.name.replace("@.service", "@") for path in paths}
        lines = [line for line in result.stderr.splitlines() if any(name in line for name in names)]
        for line in lines:
            complain("systemd-analyze verify", line)
        if result.returncode != 0 and not lines:
            notes.append(f"systemd-analyze verify could not run here: {result.stderr.strip()[:200]}")


# Dockerfile


def check_dockerfile(path, tool, known_text):
    text = path.read_text(encoding="utf-8")
    for instruction in ("FROM", "USER", "ENTRYPOINT", "CMD"):
        if not re.search(rf"^{instruction} ", text, re.MULTILINE):
            complain(relative(path), f"has no {instruction}")
    for name in re.findall(r"^ENV ([A-Z_]+)=", text, re.MULTILINE):
        check_variable(relative(path), name, known_text)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in source.split():
            if not (ROOT / name).exists():
                complain(relative(path), f"copies {name}, which does not exist")
    command = re.search(r"^CMD \[(.*)\]", text, re.MULTILINE)
    if command:
        tool.check(relative(path), re.findall(r'"([^"]*)"', command[1]))


def check_readme(path, tool):
    """Command lines of the tool in the text's code blocks."""
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"    (?:\$ )?(?:docker compose .* run --rm (?:worker|verifier)|reencrypt-secrets) (.*)", line)
        if match:
            tool.check(relative(path), re.split(r"\s[>|&#2]", match[1])[0].split())


def main():
    binary = pathlib.Path(os.environ.get("REENCRYPT_BINARY") or ROOT / ".build/release/reencrypt-secrets")
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not there: build it, or set REENCRYPT_BINARY")
    tool = Tool(str(binary.resolve()))
    known_text = tool.text + (ROOT / "docs/contract.md").read_text(encoding="utf-8")

    units = sorted((DEPLOY / "systemd").glob("*.service"))
    for unit in units:
        check_unit(unit, tool, known_text)
    verify_units(units, binary.resolve())
    check_dockerfile(DEPLOY / "Dockerfile", tool, known_text)
    check_readme(DEPLOY / "README.md", tool)
    manifests = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
    if yaml is None:
        notes.append("python3-yaml is not installed: YAML files were not looked at")
    else:
        load_yaml(DEPLOY / "encrypted-tables.example.yaml")
        check_compose(DEPLOY / "compose.yaml", tool, known_text)
        check_manifests(manifests, tool, known_text)
    check_kustomize(DEPLOY / "kubernetes")

    for note in notes:
        print(f"note: {note}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{len(units)} units, {len(manifests)} manifests, Dockerfile and compose file agree with the binary")


if __name__ == "__main__":
    main()
