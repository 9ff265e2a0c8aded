"""Checks the documents against the source and against each other.

    check_docs.py          exit code 1 where something is wrong

- every message that Sources/ logs as a warning, notice or error, or ends a command with, has a row in
  docs/troubleshooting.md, and every row there is in Sources/; likewise the tables of reasons and objections in
  docs/runbook.md
- links between documents, and their anchors, lead somewhere
- the code that the tutorial of Envelope ends with is the code that AdoptionTests test
- no line of prose is longer than LONGEST_LINE
- each way that docs/verdict.md lists is shown by a test that there is
"""

import pathlib
import re
import sys

import swift_literals

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "Sources"
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
RUNBOOK = ROOT / "docs/runbook.md"
TUTORIAL = SOURCES / "Envelope/Envelope.docc"
ADOPTION = ROOT / "Tests/EnvelopeTests/Adoption"
LONGEST_LINE = 132
# Fixed text that is kept as it came; what benchmarks print.
UNWRAPPED = {"docs/contract.md", "docs/performance.md"}

problems = []


def complain(place, message):
    problems.append(f"{place}: {message}")


def relative(path):
    return str(path.relative_to(ROOT))


def source_files():
    """What is compiled: not the steps of the tutorial."""
    return [path for path in sorted(SOURCES.rglob("*.swift")) if TUTORIAL not in path.parents]


# Markdown


def documents():
    folders = [*sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("deploy/**/*.md"))]
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *folders]


def prose(text):
    """The lines that are no code block: number, line."""
    fence = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fence = not fence
        elif not fence and not line.startswith("    "):
            yield number, line


def cells(line):
    """The cells of a table's row; a pipe behind a backslash is text."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def tables(text):
    """Header cells, and of each row its line number and cells."""
    header = None
    rows = []
    for number, line in prose(text):
        if not line.startswith("|"):
            if header:
                yield header, rows
            header, rows = None, []
        elif header is None:
            header = cells(line)
        elif not set(line) <= set("|-: "):
            rows.append((number, cells(line)))
    if header:
        yield header, rows


# Messages

# What is logged for an operator's attention.
LOGGED = r"(?:\w+\.)*logger\.(?:warning|notice|error|critical|log)"
# What ends a command: its description becomes the last line of the log.
THROWN = (
    r"(?:SettingsError|ReportError|RotationError|CatalogError|CatalogProblem|ValidationError|SpoolError"
    r"|HTTPServiceError|Refusal|PostgresError|RedisError|refuse)"
)
# Errors of a class that has a row as a whole: what a connection does, what no server should answer.
DESCRIBED_AS_A_CLASS = re.compile(
    r"\(\s*\.(?:connectionFailed|connectionLost|timedOut|unexpectedAnswer|replyTooLarge|redirectionsExhausted|server)\b"
)
# Sentences that are put together from the literals of one file.
SENTENCES = [
    "Envelope/KeyringError+Description.swift",
    "Envelope/EnvelopeError+Description.swift",
    "Envelope/SignatureError.swift",
    "Rotation/Coordinator/SweepPolicy.swift",
    "Verification/Verdict.swift",
]
# Parts of those that are no message: names, what a verdict says where it is proven; and what cannot happen.
NO_MESSAGE = re.compile(
    r"^(?:key …|the primary key|the key( …)?$|another key|is refused|the key it names|the one it names|no key"
    r"|no application_name|an unknown session|carries the label|has a data key|opens with|and a fence|at this time"
    r"|\(and … more\)|Each of …|Not proven|not proven|Shown: each of|In part\.|Retired keys|No retired key is known\.|backups, WAL|dead rows and|an envelope that was put"
    r"|a standby that is|a database administrator|; writing to the table|a command has no words)"
)
WORD = re.compile(r"[A-Za-z]{2,}")


def fixed_parts(message):
    return [part for part in message.split(swift_literals.GAP) if part.strip()]


class Messages:
    """The messages of Sources/."""

    def __init__(self):
        self.texts = {}
        self.required = []
        self.codes = set()
        for path in source_files():
            source = path.read_text(encoding="utf-8")
            found = swift_literals.expressions(source)
            name = str(path.relative_to(SOURCES))
            self.texts[name] = [expression.text for expression in found]
            self.codes |= set(re.findall(r'Code\(description: "([^"]+)"\)', source))
            self._require_logged(name, source)
            self._require_thrown(name, source)
            if name in SENTENCES:
                self._require_sentences(name, found)

    def _require_logged(self, name, source):
        for _, expressions in swift_literals.calls(source, LOGGED):
            for expression in expressions:
                if not expression.is_part and len(WORD.findall(expression.text)) >= 2:
                    self.required.append((name, expression.line, [expression.text]))

    def _require_thrown(self, name, source):
        for match, expressions in swift_literals.calls(source, THROWN):
            if DESCRIBED_AS_A_CLASS.match(source, match.end() - 1):
                continue
            texts = [
                expression.text
                for expression in expressions
                if not expression.is_part and not expression.label and len(WORD.findall(expression.text)) >= 2
            ]
            if texts and not any(NO_MESSAGE.match(text) for text in texts):
                self.required.append((name, expressions[0].line, texts))

    def _require_sentences(self, name, expressions):
        for expression in expressions:
            text = expression.text.strip()
            if len(WORD.findall(text)) >= 2 and not NO_MESSAGE.match(text):
                self.required.append((name, expression.line, [text]))

    def holds(self, message):
        """Whether a message of a document can come out of the source: its fixed parts follow each other in one
        literal, behind the class of an error or not; or it is put together from the literals of one file."""
        head, separator, rest = message.partition(": ")
        if separator and head in self.codes:
            return not fixed_parts(rest) or self.holds(rest)
        if any(_follows(message, text) for texts in self.texts.values() for text in texts):
            return True
        return any(_is_put_together(message, self.texts[name]) for name in SENTENCES)


def _is_put_together(message, texts):
    """Whether a message is made of the fixed parts of some texts."""
    parts = {part.strip() for text in texts for part in fixed_parts(text)}
    rest = message
    for part in sorted(parts, key=len, reverse=True):
        if sum(map(len, WORD.findall(part))) >= 5:
            rest = rest.replace(part, swift_literals.GAP)
    return not WORD.search(rest)


def explains(message, codes, text):
    """Whether a document's message is this text of the source."""
    head, separator, rest = message.partition(": ")
    if separator and head in codes:
        message = rest
    if sum(map(len, WORD.findall(message))) < 7:
        return False
    # Or the other way about: the text is a part of the sentence that is described.
    return _follows(message, text) or _follows(text, message)


def _follows(message, text):
    """Whether the fixed parts of a message stand in a text, in their order."""
    parts = [part.strip() for part in fixed_parts(message)]
    return re.search(".*".join(re.escape(part) for part in parts), text, re.DOTALL) is not None


def described_messages():
    """Messages that the documents describe: the place, the text."""
    for path, headers in ((TROUBLESHOOTING, {"message"}), (RUNBOOK, {"reason", "what speaks against it"})):
        for header, rows in tables(path.read_text(encoding="utf-8")):
            if header[0] not in headers:
                continue
            for number, row in rows:
                spans = re.findall(r"`([^`]+)`", row[0])
                if not spans:
                    complain(f"{relative(path)}:{number}", "a row without a message in backticks")
                for span in spans:
                    yield f"{relative(path)}:{number}", span


def check_messages():
    messages = Messages()
    described = list(described_messages())
    for place, message in described:
        if not fixed_parts(message) or not WORD.search(message):
            complain(place, f"`{message}` has no fixed words")
        elif not messages.holds(message):
            complain(place, f"nothing in Sources/ says `{message}`")
    for name, line, texts in messages.required:
        if not any(explains(message, messages.codes, text) for _, message in described for text in texts):
            complain(f"Sources/{name}:{line}", f'"{texts[0]}" has no row in docs/troubleshooting.md')
    return len(described), len(messages.required)


# Links

LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")


def anchors(text):
    """As GitHub makes them of headings."""
    seen = {}
    found = set()
    for _, line in prose(text):
        match = re.match(r"#{1,6} (.*)", line)
        if not match:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(slug if count == 0 else f"{slug}-{count}")
    return found


def check_links():
    count = 0
    known = {}
    for path in documents():
        for number, line in prose(path.read_text(encoding="utf-8")):
            for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                count += 1
                place = f"{relative(path)}:{number}"
                file, _, anchor = target.partition("#")
                destination = (path.parent / file).resolve() if file else path
                if not destination.exists():
                    complain(place, f"{target} does not exist")
                elif anchor:
                    if destination not in known:
                        known[destination] = anchors(destination.read_text(encoding="utf-8"))
                    if anchor not in known[destination]:
                        complain(place, f"{relative(destination)} has no heading #{anchor}")
    return count


# The tutorial of the library


def check_tutorial():
    named = set()
    for path in TUTORIAL.glob("*.tutorial"):
        named |= set(re.findall(r'(?:file|source): "([^"]+)"', path.read_text(encoding="utf-8")))
    resources = {path.name for path in (TUTORIAL / "Resources").iterdir()}
    for name in sorted(resources - named):
        complain(relative(TUTORIAL / "Resources" / name), "stands in no tutorial")
    for name in sorted(named - resources):
        complain(relative(TUTORIAL), f"a tutorial names {name}, which is not there")
    tested = [path for path in sorted(ADOPTION.glob("*.swift")) if path.name != "AdoptionTests.swift"]
    for path in tested:
        steps = (TUTORIAL / "Resources").glob(f"{path.stem}-*.swift")
        steps = sorted(steps, key=lambda step: (len(step.name), step.name))
        if not steps:
            complain(relative(path), "is no part of the tutorial")
        elif steps[-1].read_bytes() != path.read_bytes():
            complain(relative(steps[-1]), f"differs from {relative(path)}, which is tested")
    return len(tested)


# Lines


def check_lines():
    for path in documents():
        if relative(path) in UNWRAPPED:
            continue
        for number, line in prose(path.read_text(encoding="utf-8")):
            if not line.startswith("|") and len(line) > LONGEST_LINE:
                complain(f"{relative(path)}:{number}", f"{len(line)} characters; {LONGEST_LINE} are the most")


# The ways of docs/verdict.md


def check_ways():
    """Each row of docs/verdict.md says what becomes of a way, and names a test that there is."""
    document = ROOT / "docs/verdict.md"
    ways = 0
    for header, rows in tables(document.read_text(encoding="utf-8")):
        if header[-1] != "shown by":
            continue
        for number, (position, _, becomes, test) in rows:
            place = f"{relative(document)}:{number}"
            ways += 1
            if position != str(ways):
                complain(place, f"is numbered {position}, and is the way {ways}")
            if becomes not in ("searched", "objection", "stated limit"):
                complain(place, f"'{becomes}' is none of searched, objection, stated limit")
            found = re.fullmatch(r"`(\w+\.py)::(\w+)`", test)
            path = ROOT / "Tests/EndToEnd" / found.group(1) if found else None
            if not found or not path.exists():
                complain(place, f"{test} is in no file of Tests/EndToEnd")
            elif not re.search(rf"^def {found.group(2)}\(", path.read_text(encoding="utf-8"), re.M):
                complain(place, f"there is no test {test}")
    return ways


def main():
    described, required = check_messages()
    links = check_links()
    tested = check_tutorial()
    check_lines()
    ways = check_ways()
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(
        f"{described} messages described, {required} of the source looked up, {links} links followed, {ways} ways of the verdict shown by a test; "
        f"the tutorial ends with {tested} files that are tested"
    )


if __name__ == "__main__":
    main()
