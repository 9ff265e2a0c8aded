"""Shadows: functions, operators, types and views that stand before PostgreSQL's own in a role's search path.

Which ones is found in the statements themselves. A shadow takes the same arguments and raises an error, so that a
call cannot stay unseen.
"""

import re

SCHEMA = "evil"
CALLED = "a shadow was called"
# Polymorphic arguments are given these types, one after the other.
_ELEMENTS = ("text", "varchar", "bytea", "tid", "oid", "int8", "int4", "name", "bool", "xid")
_POLYMORPHIC = {"any", "anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray"}
_POLYMORPHIC_ARRAYS = {"anyarray", "anycompatiblearray"}
_UNSUITABLE = re.compile(r"internal|cstring|trigger|handler|any|opaque|void\b|unknown|pg_node_tree|pg_ddl|regress")
# What keywords (IN, ANY, LIKE, DISTINCT FROM, CASE …) look up as operators.
_OF_KEYWORDS = {"=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "||"}


class SpokenNames:
    """The names that statements use for functions, operators, types and relations."""

    def __init__(self, statements):
        # Bodies between dollars stay: they are statements too.
        text = "\n".join(
            re.sub(r"--[^\n]*|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", " '' ", statement) for statement in set(statements)
        ).lower()
        self.functions = set(re.findall(r"\b([a-z_][a-z0-9_]*)\s*\(", text))
        self.operators = set(re.findall(r"[-+*/<>=~!@#%^&|`?]+", text)) | _OF_KEYWORDS
        self.types = set(re.findall(r"::\s*([a-z_][a-z0-9_]*)|\bas\s+([a-z_][a-z0-9_]*)\s*\)", text))
        self.types = {name for pair in self.types for name in pair if name}
        self.relations = set(re.findall(r"\b(pg_[a-z0-9_]+)\b(?!\s*\()", text))


def _raise(what):
    text = what.replace("'", "''")
    return f"LANGUAGE plpgsql AS $shadow$ BEGIN RAISE EXCEPTION '{CALLED}: %', '{text}'; END $shadow$"


def _function(name, arguments, result):
    signature = f'{SCHEMA}."{name}"({", ".join(arguments)})'
    return f"CREATE FUNCTION {signature} RETURNS {result} {_raise(signature)}"


def _concrete(arguments, result, variadic):
    """The signatures of a function: its own, or some for a polymorphic one."""
    kinds = set(arguments) | {result.removeprefix("SETOF ")}
    if variadic == "any":
        for count in (0, 1, 2, 3):
            for element in _ELEMENTS:
                yield [*arguments[:-1], *[element] * count], result
        return
    if not kinds & (_POLYMORPHIC | _POLYMORPHIC_ARRAYS):
        yield arguments, result
        return
    for element in _ELEMENTS:

        def given(kind, element=element):
            prefix, bare = ("SETOF ", kind[6:]) if kind.startswith("SETOF ") else ("", kind)
            if bare in _POLYMORPHIC:
                return prefix + element
            return prefix + element + "[]" if bare in _POLYMORPHIC_ARRAYS else kind

        yield [given(kind) for kind in arguments], given(result)


def _functions(database, names):
    rows = database.rows(
        """
        SELECT p.proname, ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (a, n) ORDER BY n),
            CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END || format_type(p.prorettype, NULL),
            CASE WHEN p.provariadic = '"any"'::regtype THEN 'any' ELSE '' END
        FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname::text = ANY (%s)
        """,
        (sorted(names),),
    )
    for name, arguments, result, variadic in rows:
        arguments = [argument.strip('"') if "any" in argument else argument for argument in arguments]
        for given, answer in _concrete(arguments, result, variadic):
            if not any(_UNSUITABLE.search(kind) for kind in [*given, answer]):
                yield _function(name, given, answer)
    yield f"CREATE FUNCTION {SCHEMA}.step(int8) RETURNS int8 {_raise('count(*)')}"
    yield f"CREATE AGGREGATE {SCHEMA}.count(*) (SFUNC = {SCHEMA}.step, STYPE = int8, INITCOND = '0')"


def _operators(database, names):
    rows = database.rows(
        """
        SELECT oprname, CASE WHEN oprleft <> 0 THEN format_type(oprleft, NULL) END, format_type(oprright, NULL),
            format_type(oprresult, NULL)
        FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname::text = ANY (%s) AND oprcode <> 0
        """,
        (sorted(names),),
    )
    rows += [(name, "varchar", "varchar", result) for name, left, right, result in rows if left == right == "text"]
    arrays = [f"{element}[]" for element in _ELEMENTS]
    rows += [(name, array, array, result) for name, left, _, result in rows if left == "anyarray" for array in arrays]
    for number, (name, left, right, result) in enumerate(rows):
        if _UNSUITABLE.search(f"{left} {right} {result}") or "any" in f"{left}{right}{result}":
            continue
        arguments = [kind for kind in (left, right) if kind]
        yield _function(f"operator {number} {name} ({left}, {right})", arguments, result)
        sides = (f"LEFTARG = {left}, " if left else "") + f"RIGHTARG = {right}"
        yield (
            f'CREATE OPERATOR {SCHEMA}.{name} ({sides}, '
            f'FUNCTION = {SCHEMA}."operator {number} {name} ({left}, {right})")'
        )


def _types(database, names):
    found = database.rows(
        "SELECT typname::text FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' "
        "AND typelem = 0 AND typname::text = ANY (%s)",
        (sorted(names),),
    )
    yield f"CREATE FUNCTION {SCHEMA}.is_a_shadow() RETURNS bool {_raise('a type or a view')}"
    for (name,) in found:
        yield f'CREATE DOMAIN {SCHEMA}."{name}" AS pg_catalog."{name}" CHECK ({SCHEMA}.is_a_shadow())'


def _views(database, names):
    found = database.rows(
        """
        SELECT c.relname::text, string_agg(format('%%I', a.attname), ', ' ORDER BY a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_type t ON t.oid = a.atttypid AND t.typtype <> 'p'
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname::text = ANY (%s)
        GROUP BY 1
        """,
        (sorted(names),),
    )
    for name, columns in found:
        yield f"CREATE VIEW {SCHEMA}.{name} AS SELECT {columns} FROM pg_catalog.{name} WHERE {SCHEMA}.is_a_shadow()"
        yield f"GRANT SELECT ON {SCHEMA}.{name} TO PUBLIC"


def plant(database, names, owner) -> list:
    """Plants a shadow of every name; gives what PostgreSQL would not take, with its words."""
    statements = [*_types(database, names.types), *_functions(database, names.functions),
                  *_operators(database, names.operators), *_views(database, names.relations)]  # fmt: skip
    connection = database.connect("intruder", autocommit=True)
    refused = []
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {owner}; GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC")
        cursor.execute(f"SET ROLE {owner}; SET search_path = pg_catalog; SET check_function_bodies = off")
        cursor.execute("CREATE TEMP TABLE refused (statement text, reason text)")
        cursor.execute(
            """
            DO $plant$
            DECLARE statement text;
            BEGIN
                FOREACH statement IN ARRAY %s LOOP
                    BEGIN
                        EXECUTE statement;
                    EXCEPTION WHEN OTHERS THEN
                        INSERT INTO refused VALUES (statement, SQLERRM);
                    END;
                END LOOP;
            END $plant$
            """,
            (statements,),
        )
        cursor.execute("SELECT left(statement, 120), reason FROM refused WHERE reason NOT LIKE '%already exists%'")
        refused = cursor.fetchall()
    connection.close()
    return len(statements), refused
