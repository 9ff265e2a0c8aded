-- Database roles with no more than each command needs. Edit the calls at the end, then run it as a superuser, or as
-- the owner of the tables with CREATEROLE, in the application's database:
--
--     psql -v ON_ERROR_STOP=1 -f roles.sql "$DATABASE_URL"
--
-- It may be run again: after a new partition, a new table, a new column. These are group roles; give each process a
-- login of its own:
--
--     CREATE ROLE rotation_worker LOGIN PASSWORD '…' IN ROLE reencrypt_worker;
--
-- A table with row-level security needs BYPASSRLS on the login itself: that attribute is not inherited.
-- What breaks without each of the grants is listed in docs/security.md, and tried by the tests.

BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['reencrypt_worker', 'reencrypt_coordinator', 'reencrypt_verifier', 'reencrypt_fence'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END
$$;

-- Every leaf of a table: statements name the leaf, so a grant on a partitioned root does not count.
CREATE OR REPLACE FUNCTION pg_temp.leaves(root regclass) RETURNS SETOF regclass LANGUAGE sql AS $$
    WITH RECURSIVE tree AS (
        SELECT root::oid AS relation
        UNION ALL
        SELECT i.inhrelid FROM pg_inherits AS i JOIN tree ON i.inhparent = tree.relation
    )
    SELECT relation::regclass FROM tree JOIN pg_class AS c ON c.oid = relation WHERE c.relkind <> 'p'
$$;

-- `ids`: the id columns of the catalog. `encrypted`: its encrypted columns. `ctid` is a column like another here.
CREATE OR REPLACE FUNCTION pg_temp.allow_rotation(root regclass, ids text[], encrypted text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    leaf regclass;
    readable text := (SELECT string_agg(DISTINCT quote_ident(c), ', ') FROM unnest('{ctid}' || ids || encrypted) AS c);
    writable text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(encrypted) AS c);
    schema regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = root);
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO reencrypt_worker', schema);
    FOR leaf IN SELECT pg_temp.leaves(root) LOOP
        EXECUTE format('GRANT SELECT (%s) ON %s TO reencrypt_worker', readable, leaf);
        EXECUTE format('GRANT UPDATE (%s) ON %s TO reencrypt_worker', writable, leaf);
    END LOOP;
END
$$;

-- Enumerates, proves the keys and takes the censuses as a worker may; ends stuck sessions of workers, which only a
-- member of their role may do.
GRANT reencrypt_worker TO reencrypt_coordinator;
-- How far standbys have come, who holds a lock and since when.
GRANT pg_read_all_stats TO reencrypt_coordinator, reencrypt_verifier;
-- The catalog's tables, and whether a column outside it holds envelopes. Where nobody may read the whole database, grant
-- reencrypt_verifier SELECT on the tables in its place: `verify` then says what it could not look at, and proves nothing.
-- It does not reach large objects: GRANT SELECT ON LARGE OBJECT … TO reencrypt_verifier, or list
-- pg_catalog.pg_largeobject.data under ignore:.
GRANT pg_read_all_data TO reencrypt_verifier;
-- ADD CONSTRAINT and CREATE TRIGGER are the owner's. Make the fence's login a member of the owner of the tables:
--     GRANT application_owner TO reencrypt_fence;

-- One call a table of the catalog.
SELECT pg_temp.allow_rotation('llm_providers', ids => '{id}', encrypted => '{api_key_encrypted}');

COMMIT;
