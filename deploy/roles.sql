-- The two roles that sign in, their passwords, and what must exist before the first migration. It may run any
-- number of times: `docker compose up` runs it every time, so a password changed in .env is changed here too.
--
-- On a server of your own, as its administrator, in the database that the product is to use:
--     export DATABASE_OWNER_PASSWORD=… DATABASE_APP_PASSWORD=…
--     psql "postgresql://…" -f deploy/roles.sql
--
-- secondbrain_owner   runs migrations; CREATEROLE, because they make the roles that nobody signs in as
-- secondbrain_app     web and worker processes; owns nothing

\set ON_ERROR_STOP on
\set owner_password ''
\set app_password ''
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv app_password DATABASE_APP_PASSWORD
SET client_min_messages = warning;

-- The server's log must not repeat a statement with a password in it; only a superuser may see to that.
SELECT set_config(name, value, false) AS unlogged
FROM (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_error_statement', 'panic'))
    AS quiet (name, value)
WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \g /dev/null

SELECT bool_and(password ~ '^[A-Za-z0-9._~-]{16,}$') AS passwords_fit
FROM (VALUES (:'owner_password'), (:'app_password')) AS given (password) \gset
\if :passwords_fit
\else
DO $$ BEGIN RAISE EXCEPTION USING MESSAGE =
    'DATABASE_OWNER_PASSWORD and DATABASE_APP_PASSWORD need 16 or more letters, digits, or . _ ~ - (they become part of a URL)';
END $$;
\endif

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['secondbrain_owner', 'secondbrain_app']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
ALTER ROLE secondbrain_owner LOGIN CREATEROLE PASSWORD :'owner_password';
ALTER ROLE secondbrain_app LOGIN PASSWORD :'app_password';

SELECT format('GRANT CREATE, CONNECT, TEMPORARY ON DATABASE %I TO secondbrain_owner', current_database()) \gexec
GRANT ALL ON SCHEMA public TO secondbrain_owner WITH GRANT OPTION;

-- pgvector is not a trusted extension: only an administrator may make it, or bring it up to a newer server's.
CREATE EXTENSION IF NOT EXISTS vector;
ALTER EXTENSION vector UPDATE;
