"""String literals of Swift sources, as far as the checks of the documents need them.

    calls(source, pattern)     the calls of what the pattern matches, each with the Expressions in its arguments
    expressions(source)        every Expression of a source

An Expression is what one or several literals joined by `+` yield: its fixed parts with GAP between them for each
interpolation, and the label of the argument that it stands in, if any. Literals inside an interpolation are expressions
of their own.
"""

import re
from typing import NamedTuple

GAP = "…"


class Expression(NamedTuple):
    text: str
    label: str
    line: int
    # Whether it stands inside an interpolation, so that it is a part of another message.
    is_part: bool


def _literal(source, start):
    """The literal that begins at `start`: its text, the code of its interpolations as (start, end), its end."""
    hashes = 0
    position = start
    while source[position] == "#":
        hashes += 1
        position += 1
    quote = '"""' if source.startswith('"""', position) else '"'
    position += len(quote)
    closing = quote + "#" * hashes
    escape = "\\" + "#" * hashes
    text = []
    interpolations = []
    while not source.startswith(closing, position):
        if source.startswith(escape, position):
            position += len(escape)
            if source[position] == "(":
                end = _balanced(source, position)
                interpolations.append((position + 1, end - 1))
                text.append(GAP)
                position = end
                continue
            text.append({"n": "\n", "t": "\t", "\n": ""}.get(source[position], source[position]))
            position += 1
            continue
        text.append(source[position])
        position += 1
    return "".join(text), interpolations, position + len(closing)


def _skip_comment(source, position):
    if source.startswith("//", position):
        end = source.find("\n", position)
        return len(source) if end < 0 else end
    if source.startswith("/*", position):
        return source.index("*/", position) + 2
    return position


def _balanced(source, start):
    """The place behind the parenthesis that closes the one at `start`."""
    depth = 0
    position = start
    while position < len(source):
        after = _skip_comment(source, position)
        if after != position:
            position = after
            continue
        if re.match(r'#*"', source[position : position + 4]):
            position = _literal(source, position)[2]
            continue
        depth += source[position] in "([{"
        depth -= source[position] in ")]}"
        position += 1
        if depth == 0:
            return position
    raise ValueError("unbalanced")


def expressions(source, start=0, end=None, is_part=False):
    """Every expression between two places of a source."""
    end = len(source) if end is None else end
    found = []
    position = start
    # What the next literal would be appended to: nothing but white space and one `+` may stand between.
    current = None
    between = ""
    while position < end:
        after = _skip_comment(source, position)
        if after != position:
            position = after
            continue
        if re.match(r'#*"', source[position : position + 4]):
            text, interpolations, after = _literal(source, position)
            for inner in interpolations:
                found += expressions(source, *inner, is_part=True)
            if current is not None and between.strip() == "+":
                current[0] += text
            else:
                label = re.search(r"([A-Za-z_]\w*):\s*$", source[max(start, position - 60) : position])
                current = [text, label[1] if label else "", source.count("\n", 0, position) + 1]
                found.append(current)
            position, between = after, ""
            continue
        between += source[position]
        position += 1
    return [
        item if isinstance(item, Expression) else Expression(*item, is_part)
        for item in found
    ]  # fmt: skip


def calls(source, pattern):
    """Of each call of what `pattern` matches: the match, and the expressions in its arguments, each with the label of
    its argument."""
    for match in re.finditer(rf"(?<![\w.]){pattern}\(", source):
        if _is_in_comment(source, match.start()):
            continue
        opening = match.end() - 1
        found = []
        for start, end in _arguments(source, opening):
            label = re.match(r"\s*([A-Za-z_]\w*):\s", source[start:end])
            found += [
                expression._replace(label=label[1] if label else "") for expression in expressions(source, start, end)
            ]
        yield match, found


def _arguments(source, opening):
    """The places of the arguments of a call whose parenthesis opens at `opening`."""
    end = _balanced(source, opening) - 1
    start = position = opening + 1
    while position < end:
        after = _skip_comment(source, position)
        if after != position:
            position = after
        elif re.match(r'#*"', source[position : position + 4]):
            position = _literal(source, position)[2]
        elif source[position] in "([{":
            position = _balanced(source, position)
        else:
            if source[position] == ",":
                yield start, position
                start = position + 1
            position += 1
    yield start, end


def _is_in_comment(source, place):
    line = source[source.rfind("\n", 0, place) + 1 : place]
    return bool(re.match(r"\s*//", line))
