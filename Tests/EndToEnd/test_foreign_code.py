"""Code of others in our sessions: what stands earlier in the search path must neither run nor decide anything."""

import dataclasses

import pytest
from psycopg2 import Binary

from envelope_reference import MEMBERS, Spelling, seal
from support.lies import expect_truth, liar, needs_another
from support.secrets_table import SecretsTable
from support.shadows import CALLED, SCHEMA, SpokenNames, plant
from support.statement_gate import StatementGate
from test_verify import verify

NOTHING = r"\bthere is no such statement\b"
PLAIN, ODD = Spelling(), Spelling(order=MEMBERS[::-1])


@pytest.fixture
def subjects(database, kek_v1):
    """Every column type, several key types, a tree; spellings that SQL recognises and others; a large value."""
    database.execute(
        """
        CREATE TABLE plain (id bigint PRIMARY KEY, secret bytea NOT NULL);
        CREATE TABLE wide (tenant varchar(20) COLLATE "C", id uuid, a text, b varchar(4000), c json, d jsonb,
            PRIMARY KEY (tenant, id)) PARTITION BY LIST (tenant);
        CREATE TABLE wide_1 PARTITION OF wide FOR VALUES IN ('one');
        CREATE TABLE wide_2 PARTITION OF wide DEFAULT;
        CREATE TABLE dated (at timestamptz, n numeric, secret text, PRIMARY KEY (at, n));
        """
    )
    with database.transaction() as cursor:
        for number in range(120):
            spelling = ODD if number % 10 == 0 else PLAIN
            text = seal(kek_v1, b"x" * (4_000 if number == 7 else 9), spelling).text
            short = seal(kek_v1, b"short", spelling).text
            cursor.execute("INSERT INTO plain VALUES (%s, %s)", (number, Binary(text.encode())))
            cursor.execute(
                "INSERT INTO wide VALUES (%s, gen_random_uuid(), %s, %s, %s, %s)",
                ("one" if number % 2 else f"t{number}", text, short, short, short),
            )
            cursor.execute("INSERT INTO dated VALUES (now() - %s * interval '1 day', %s, %s)", (number, number, short))
    return [
        {"name": "plain", "encrypted_columns": ["secret"]},
        {"name": "wide", "encrypted_columns": ["a", "b", "c", "d"]},
        {"name": "dated", "encrypted_columns": ["secret"]},
    ]


@dataclasses.dataclass
class Commands:
    """Every command that speaks to the database, one after the other, through a proxy that writes down the SQL."""

    make_queue_tool: object
    entries: list
    kek_v1: object
    kek_v2: object

    def run(self, database_url) -> list:
        there = self.make_queue_tool(database_url)
        back = self.make_queue_tool(database_url, primary=self.kek_v1, previous=[self.kek_v2])
        for queue_tool in (there, back):
            queue_tool.tool.write_catalog(*self.entries)
        outcomes = []

        def do(*arguments, catalog=True, tool=there.tool):
            given = ("--catalog", tool.catalog) if catalog else ()
            outcomes.append(tool.command(*arguments, *given))

        do("catalog", "check")
        do("catalog", "discover", catalog=False)
        do("run", "--dry-run")
        do("run", "--vacuum", "50")
        for depth in ("labels", "keys", "values"):
            do("verify", "--depth", depth)
        do("verify", "--watch", "1s")
        do("fence", "add", "--log-only")
        do("fence", "drop")
        do("fence", "add")
        do("fence", "status")
        do("verify")
        do("fence", "drop")
        worker = back.worker("--exit-when-done")
        outcomes += [back.coordinator().wait(), worker.wait()]
        do("run", "--order", "physical", "--batch-size", "7")
        do("verify")
        return outcomes


def brief(outcome):
    return (" ".join(map(str, outcome.arguments[:3])).split(" --catalog")[0].split(" --queue")[0], outcome.exit_code)


@pytest.mark.watchdog(300)
@pytest.mark.slow
def test_a_shadow_of_everything_that_our_sql_names(
    server, database, subjects, make_queue_tool, kek_v1, kek_v2
):
    commands = Commands(make_queue_tool, subjects, kek_v1, kek_v2)
    with StatementGate(server, NOTHING) as recorder:
        clean = commands.run(database.url_through(recorder.port))
    assert needs_another(stored(database), kek_v2) == 0
    names = SpokenNames(recorder.statements)
    assert {"count", "set_config", "pg_relation_size", "format"} <= names.functions, names.functions
    assert {"=", ">="} <= names.operators and "pg_class" in names.relations

    commands = Commands(make_queue_tool, subjects, kek_v1, kek_v2)
    back = make_queue_tool(primary=kek_v1, previous=[kek_v2]).tool
    back.write_catalog(*subjects)
    back.run().expect(0)
    number, refused = plant(database, names, database.create_role("low"))
    assert number > 500 and len(refused) < number / 20, refused[:10]
    role = database.create_role("rotation", "SUPERUSER")
    database.execute(f"ALTER ROLE {role} SET search_path = {SCHEMA}, public, pg_catalog")
    before = server.log.stat().st_size
    shadowed = commands.run(database.url_as(role))
    with open(server.log, "rb") as log:
        log.seek(before)
        calls = {line.split(CALLED)[1] for line in log.read().decode(errors="replace").splitlines() if CALLED in line}
    assert not calls, f"{len(calls)} shadows were called: {sorted(calls)[:20]}"
    assert list(map(brief, shadowed)) == list(map(brief, clean)), "\n".join(map(str, shadowed))
    assert needs_another(stored(database), kek_v2) == 0
    assert not database.rows("SELECT rolname FROM pg_roles WHERE rolname LIKE '%%_low' AND rolsuper", ())


@pytest.mark.watchdog(300)
def test_a_fence_depends_on_nothing_of_others(server, database, subjects, make_queue_tool, make_tool, kek_v1, kek_v2):
    """A constraint outlives the session: what it names, it names for ever."""
    tool = make_tool(database.url)
    tool.write_catalog(*subjects)
    tool.run().expect(0)
    with StatementGate(server, NOTHING) as recorder:
        through = make_tool(database.url_through(recorder.port))
        through.write_catalog(*subjects)
        through.command("fence", "add", "--catalog", through.catalog).expect(0)
        through.command("fence", "add", "--log-only", "--catalog", through.catalog)
        through.command("fence", "drop", "--catalog", through.catalog).expect(0)
    printed = tool.command("fence", "add", "--print-sql", "--catalog", tool.catalog).expect(0).stdout
    plant(database, SpokenNames([*recorder.statements, printed]), database.create_role("low"))
    # As an operator runs the script, under a path of his own.
    connection = database.connect("operator", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path = {SCHEMA}, public, pg_catalog")
        for statement in printed.split(";\n"):
            if statement.strip():
                cursor.execute(statement)
    depending = database.rows(
        "SELECT conname FROM pg_constraint c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_constraint'::regclass "
        "LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid "
        "LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid "
        "LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid "
        f"WHERE '{SCHEMA}'::regnamespace IN (p.pronamespace, o.oprnamespace, t.typnamespace) AND c.conrelid <> 0"
    )
    assert not depending, depending
    assert database.value("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'reencrypt_fence%%' AND convalidated", ())


def stored(database) -> list:
    cells = ["convert_from(secret, 'UTF8') FROM plain", *(f"{c}::text FROM wide" for c in "abcd"), "secret FROM dated"]
    return [value for cell in cells for (value,) in database.rows(f"SELECT {cell}")]


# MARK: by name

SEIZE = "BEGIN EXECUTE 'ALTER ROLE {low} SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;"
FOREIGN = {
    "format": "CREATE FUNCTION public.format(text, bigint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN {seize} "
    "RETURN '(0,0)'; END $$",
    "pg_relation_size": "CREATE FUNCTION public.pg_relation_size(integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN "
    "{seize} RETURN 0; END $$",
    "count": "CREATE FUNCTION public.none(bigint, bytea) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN {seize} RETURN 0; "
    "END $$; CREATE AGGREGATE public.count(bytea) (SFUNC = public.none, STYPE = bigint, INITCOND = '0')",
    "unnest": "CREATE FUNCTION public.unnest(tid[]) RETURNS SETOF tid LANGUAGE plpgsql AS $$ BEGIN {seize} RETURN; END $$",
    "equal bytea": "CREATE FUNCTION public.same(bytea, bytea) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {seize} "
    "RETURN true; END $$; CREATE OPERATOR public.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = public.same)",
    "greater or equal varchar": "CREATE FUNCTION public.ge(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ "
    "BEGIN {seize} RETURN false; END $$; "
    "CREATE OPERATOR public.>= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.ge)",
    "greater or equal tid": "CREATE FUNCTION public.ge(tid, tid) RETURNS boolean LANGUAGE plpgsql AS $$ "
    "BEGIN {seize} RETURN false; END $$; "
    "CREATE OPERATOR public.>= (LEFTARG = tid, RIGHTARG = tid, FUNCTION = public.ge)",
    "set_config": "CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
    "{seize} RETURN $2; END $$",
    "pg_locks": "CREATE VIEW public.pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false; "
    "GRANT SELECT ON public.pg_locks TO PUBLIC",
    "tid": "CREATE FUNCTION public.seize() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {seize} RETURN true; END $$; "
    "CREATE DOMAIN public.tid AS pg_catalog.tid CHECK (public.seize())",
    "text": "CREATE FUNCTION public.seize() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {seize} RETURN true; END $$; "
    "CREATE DOMAIN public.text AS pg_catalog.text CHECK (public.seize())",
}


@pytest.fixture(params=FOREIGN)
def intruded(request, database, make_tool):
    """A tool whose role looks into `public` first, where everybody may create; and the role that has created there."""
    low, role = database.create_role("low"), database.create_role("rotation", "SUPERUSER")
    database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    connection = database.connect("intruder", autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {low}")
        cursor.execute(FOREIGN[request.param].format(seize=SEIZE.format(low=low)))
    database.execute(f"ALTER ROLE {role} SET search_path = public, pg_catalog")
    tool = make_tool(database.url_as(role))
    yield tool
    tool.kill_all()
    became = database.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = %s", (low,))
    database.execute(f"DROP OWNED BY {low} CASCADE")
    assert not became, "foreign code has run as our role"


def by_id_type(database, id_type):
    return SecretsTable(database, id_type=id_type)


@pytest.mark.parametrize("id_type", ["bigint", "varchar(20)"])
@pytest.mark.parametrize("order", ["key", "physical"])
def test_a_run_among_foreign_code(database, intruded, kek_v1, kek_v2, id_type, order):
    table = by_id_type(database, id_type).create()
    table.insert((str(n) if "varchar" in id_type else n, seal(kek_v1, b"x")) for n in range(300))
    intruded.write_catalog(table)
    outcome = intruded.run("--order", order)
    expect_truth(outcome, table.stored().values(), kek_v2)
    outcome.expect(0)


def test_a_verification_among_foreign_code(database, intruded, kek_v1, kek_v2):
    table = SecretsTable(database).create().fill(kek_v2, range(100))
    intruded.write_catalog(table)
    verify(intruded).expect(0)
    application = database.connect("old-billing")
    with application.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table.sql_name} (id, {table.column}) VALUES (500, %s)",
            (seal(liar(kek_v1, kek_v2), b"x").bytes,),
        )
    verify(intruded, "--wait-open-transactions", "1s").expect(2)
    application.commit()
    verify(intruded).expect(2)


# MARK: code of the application


def test_code_of_the_application_goes_on_working(database, make_tool, kek_v1, kek_v2):
    """Its triggers, checks and index functions use names of its own path, and our UPDATE runs them."""
    database.execute(
        """
        CREATE SCHEMA app;
        SET search_path = app, public;
        CREATE TABLE audit_log (id bigint, note text);
        CREATE FUNCTION prefix() RETURNS text LANGUAGE sql AS $$ SELECT 'changed '::text $$;
        CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO audit_log VALUES (NEW.id, prefix() || NEW.name); RETURN NEW; END $$;
        CREATE FUNCTION is_name(text) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN PERFORM prefix(); RETURN length($1) < 100; END $$;
        CREATE FUNCTION folded(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN RETURN lower($1) || prefix(); END $$;
        CREATE TABLE secrets (id bigint PRIMARY KEY, name text CHECK (is_name(name)), secret bytea,
            size int GENERATED ALWAYS AS (length(secret)) STORED);
        CREATE INDEX ON secrets (folded(name));
        CREATE TRIGGER noted BEFORE UPDATE ON secrets FOR EACH ROW EXECUTE FUNCTION noted();
        """
    )
    with database.transaction() as cursor:
        cursor.execute("SET search_path = app, public")
        for number in range(50):
            cursor.execute("INSERT INTO secrets (id, name, secret) VALUES (%s, %s, %s)",
                           (number, f"Name {number}", Binary(seal(kek_v1, b"x").bytes)))  # fmt: skip
    role = database.create_role("rotation")
    database.execute(
        f"ALTER ROLE {role} SET search_path = app, public; GRANT USAGE ON SCHEMA app TO {role};"
        f"GRANT SELECT, UPDATE ON app.secrets TO {role}; GRANT SELECT, INSERT ON app.audit_log TO {role}"
    )
    tool = make_tool(database.url_as(role))
    tool.write_catalog({"name": "secrets", "encrypted_columns": ["secret"]})
    assert "Would re-encrypt 50 of 50 records" in tool.run("--dry-run").expect(0).output
    tool.run().expect(0)
    assert needs_another([value for (value,) in database.rows("SELECT secret FROM app.secrets")], kek_v2) == 0
    assert database.value("SELECT count(*) FROM app.audit_log WHERE note LIKE 'changed Name %%'", ()) == 50
    verify(tool).expect(0)
