"""Checks the files of deploy/ without Docker, a cluster or systemd running.

    check_deploy.py        exit code 1 where something is wrong; the binary is REENCRYPT_BINARY, or the release build

- every YAML file parses (needs python3-yaml; without it these files are skipped, and it says so)
- every command line of a container or unit uses a subcommand and options that the binary's --help lists
- every environment variable is one that the binary's --help or docs/contract.md knows, or libpq's own
- every file that a …_FILE variable names is mounted from a secret, and the secret's example has it
- a probe and a service name a port that the container exposes, and one that its command line listens on
- labels: what a service, a budget or a network policy selects is there; each pod may reach what its settings name, and
  nothing else
- Compose's and Kubernetes' own schemas agree (packages in .build/tools/schemas, see requirements.sh; skipped without)
- shellcheck agrees with the shell snippets of the compose file, where it is installed
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
SCHEMAS = ROOT / ".build/tools/schemas"
# The oldest version of Kubernetes that is still served somewhere, and the newest that there is a schema of.
KUBERNETES_VERSIONS = ("1.31.0", "1.37.0")
LISTENING_OPTIONS = ("--listen", "--health-listen", "--metrics-listen")
# What a pod whose settings name a server has to reach, beside names.
SERVER_PORTS = {"DATABASE_URL_FILE": 5432, "REDIS_URL_FILE": 6379}
NAMES_PORT = 53

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
            check_snippet(f"{place}, command", service.get("command", []))
            healthcheck = service.get("healthcheck", {}).get("test", [])
            check_snippet(f"{place}, healthcheck", healthcheck)
            if service.get("image") != "reencrypt-secrets":
                continue
            environment = service.get("environment", {})
            for variable in environment:
                check_variable(place, variable, known_text)
            check_secret_files(place, environment, {f"/run/secrets/{secret}" for secret in service["secrets"]})
            tool.check(place, service["command"])
            listens = listening_ports(service["command"])
            for port in re.findall(r"/dev/tcp/[\d.]+/(\d+)", " ".join(healthcheck)):
                if int(port) not in listens:
                    complain(place, f"the health check asks port {port}, which its command does not listen on")
            for published in service.get("ports", []):
                if int(published.rsplit(":", 1)[1]) not in listens:
                    complain(place, f"publishes {published}, and listens on {sorted(listens)}")


def listening_ports(arguments):
    """By the options of a command line."""
    return {
        int(value.rsplit(":", 1)[1])
        for option, value in zip(arguments, arguments[1:])
        if option in LISTENING_OPTIONS
    }


def check_snippet(place, command):
    """A command that is handed to a shell, as Compose hands it over."""
    shellcheck = shutil.which("shellcheck")
    words = [word for word in command if word not in ("CMD", "-c")]
    if shellcheck is None or not words or words[0] not in ("sh", "bash", "CMD-SHELL"):
        return
    dialect = "bash" if words[0] == "bash" else "sh"
    result = subprocess.run(
        [shellcheck, f"--shell={dialect}", "--format=gcc", "-"],
        input=words[1].replace("$$", "$"), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    for line in result.stdout.splitlines():
        complain(place, line)


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
            check_probes(place, container)
    check_selectors(documents)


def container_ports(container):
    """Name → number."""
    return {port.get("name", str(port["containerPort"])): port["containerPort"] for port in container.get("ports", [])}


def check_probes(place, container):
    ports = container_ports(container)
    listens = listening_ports(container["args"])
    for port in listens ^ set(ports.values()):
        complain(place, f"port {port} is either exposed or listened on, but not both")
    for kind in ("livenessProbe", "readinessProbe"):
        probe = container.get(kind)
        if probe is None:
            if ports:
                complain(place, f"{container['name']} has no {kind}")
            continue
        port = (probe.get("httpGet") or probe["tcpSocket"])["port"]
        if port not in ports and port not in ports.values():
            complain(place, f"{kind} asks the port {port}, which {container['name']} does not expose")


def selects(selector, labels):
    """As Kubernetes does: an empty selector takes everything."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        {
            "In": labels.get(one["key"]) in one.get("values", []),
            "NotIn": labels.get(one["key"]) not in one.get("values", []),
            "Exists": one["key"] in labels,
            "DoesNotExist": one["key"] not in labels,
        }[one["operator"]]
        for one in selector.get("matchExpressions", [])
    )


def check_selectors(documents):
    pods = [
        (f"{relative(path)}, {document['kind']}", document["spec"]["template"])
        for path, document in documents
        if document.get("kind") in ("Deployment", "Job")
    ]
    policies = []
    for path, document in documents:
        place, kind, spec = f"{relative(path)}, {document.get('kind')}", document.get("kind"), document.get("spec", {})
        if kind == "Deployment":
            if not selects(spec["selector"], spec["template"]["metadata"]["labels"]):
                complain(place, "does not select its own pods")
            continue
        if kind == "Service":
            selector = {"matchLabels": spec["selector"]}
            named = {port["targetPort"] for port in spec["ports"]}
        elif kind == "PodDisruptionBudget":
            selector, named = spec["selector"], set()
        elif kind == "NetworkPolicy":
            selector = spec["podSelector"]
            named = {port["port"] for rule in spec.get("ingress", []) for port in rule.get("ports", [])}
            policies.append((selector, spec))
        else:
            continue
        chosen = [pod for _, pod in pods if selects(selector, pod["metadata"]["labels"])]
        if not chosen:
            complain(place, f"{document['metadata']['name']} selects no pod of these files")
        for pod in chosen:
            ports = container_ports(pod["spec"]["containers"][0])
            for port in named - set(ports) - set(ports.values()):
                complain(place, f"names the port {port}, which {pod['spec']['containers'][0]['name']} does not expose")
    for place, pod in pods:
        check_reach(place, pod, [spec for selector, spec in policies if selects(selector, pod["metadata"]["labels"])])


def check_reach(place, pod, policies):
    """Where it may go is where its settings send it; who may come is whom it serves."""
    for direction in ("Ingress", "Egress"):
        if not any(direction in spec["policyTypes"] for spec in policies):
            complain(place, f"no network policy limits its {direction}")
    container = pod["spec"]["containers"][0]
    variables = {entry["name"] for entry in container.get("env", [])}
    wanted = {NAMES_PORT} | {port for name, port in SERVER_PORTS.items() if name in variables}
    allowed = {port["port"] for spec in policies for rule in spec.get("egress", []) for port in rule["ports"]}
    if allowed != wanted:
        complain(place, f"may reach the ports {sorted(allowed)}, and its settings need {sorted(wanted)}")
    entered = {port["port"] for spec in policies for rule in spec.get("ingress", []) for port in rule["ports"]}
    health = {"health"} if "--metrics-listen" not in container["args"] else set()
    served = set(container_ports(container)) - health
    if entered != served:
        complain(place, f"may be reached on {sorted(entered)}, and serves {sorted(served)}")


def check_schemas(compose, manifests):
    """By packages from PyPI, in a folder of their own."""
    if not SCHEMAS.is_dir():
        notes.append(f"{relative(SCHEMAS)} is not there: no schemas of Compose and Kubernetes were looked at")
        return

    def run(module, *arguments):
        result = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, timeout=300,
            env={**os.environ, "PYTHONPATH": str(SCHEMAS)},
        )  # fmt: skip
        said = (result.stdout + result.stderr).strip()
        # A kind that there is no schema of is a warning there.
        if result.returncode != 0 or "WARN" in said:
            complain(module, said)

    run("check_jsonschema", "--builtin-schema", "vendor.compose-spec", compose)
    # Kustomize's and KEDA's own kinds are no part of Kubernetes.
    plain = [path for path in manifests if path.name != "kustomization.yaml" and path.parent.name != "keda"]
    for version in KUBERNETES_VERSIONS:
        run("kubernetes_validate", "--strict", "--quiet", "-k", version, *plain)


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
            if not any(ROOT.glob(name)):
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
        check_schemas(DEPLOY / "compose.yaml", manifests)
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
