"""pgcli: its own program with commands, from a pipe; its metadata; what it shows and how errors look."""

import os
import pathlib
import subprocess
import sys
import tempfile

import psycopg

from cases import DATABASE, DSN, HOST, PASSWORD, PORT, USER, case, done, same

PROGRAM = pathlib.Path(sys.executable).parent / "pgcli"
HOME = tempfile.TemporaryDirectory()
plain = psycopg.connect(DSN, autocommit=True)


def run(*arguments, typed=None, password=PASSWORD):
    """What pgcli prints; it keeps its settings in a directory of its own."""
    surroundings = {**os.environ, "HOME": HOME.name, "XDG_CONFIG_HOME": HOME.name, "PGPASSWORD": password}
    told = subprocess.run(
        [PROGRAM, "-h", HOST, "-p", str(PORT), "-U", USER, "-d", DATABASE, "--less-chatty", "-w", *arguments],
        input=typed, capture_output=True, text=True, timeout=120, env=surroundings,
    )
    return told.stdout + told.stderr


def rows(*commands):
    """The rows of queries, without pgcli's remarks on the time zone."""
    lines = run("-t", *(part for command in commands for part in ("-c", command))).splitlines()
    return [line.split("  ") for line in lines if "time zone" not in line and "use_local_timezone" not in line]


def shows(name, command, *wanted):
    @case("pgcli", name)
    def _():
        told = run("-c", command)
        for text in wanted:
            assert text in told, told
        assert "ERROR" not in told and "Traceback" not in told, told


@case("pgcli", "it connects, and a wrong password is refused")
def _():
    assert "PONG" in run("--ping")
    assert "password authentication failed" in run("-c", "select 1", password="no")


@case("pgcli", "values of every type")
def _():
    found = rows(
        """select 123456789012345678901234567890.12345678::numeric(38, 8), null::text, true, date '2024-02-29',
           timestamptz '2024-02-29 12:30:00+00' = timestamptz '2024-02-29 06:30:00-06', 'it''s "q" żółć 漢'::text"""
    )
    same([["123456789012345678901234567890.12345678", "<null>", "True", "2024-02-29", "True", 'it\'s "q" żółć 漢']], found)


@case("pgcli", "rows as another client has them")
def _():
    text = "select check_id, exception_key, amount_at_risk from recon.exceptions where amount_at_risk > 0 order by 1, 2 limit 50"
    found = [[field.strip() for field in row if field.strip()] for row in rows(text)]
    same([[str(field) for field in row] for row in plain.execute(text)], found)


shows("\\l", "\\l", DATABASE)
shows("\\dn+", "\\dn+", "recon", "what disagrees")
shows("\\dt", "\\dt+ procore.*", "vendors")
shows("\\dv", "\\dv+ recon.*", "exceptions")
shows("\\d of a table", "\\d procore.vendors", '"vendors_pkey" PRIMARY KEY, btree (_key)', '"vendors_id_key" UNIQUE CONSTRAINT, btree (id)')
shows("\\d+ of a view", "\\d+ recon.exceptions", "numeric(18,2)", "the check that found it")
shows("\\d of a table that others refer to", "\\d procore.projects", "FOREIGN KEY (project_id) REFERENCES procore.projects(id)")
shows("\\di", "\\di procore.*", "vendors_pkey")
shows("\\du", "\\du", USER)
shows("\\dp", "\\dp recon.*", "exceptions")
shows("\\df", "\\df", "Result data type")
shows("\\dT", "\\dT", "Description")
shows("explain", "explain select * from recon.summary", "cost=")


@case("pgcli", "what it is asked from a pipe, one after another")
def _():
    told = run(typed="\\x on\nselect 'first' as words;\nselect 1 / 0;\nselect 'second' as words;\n\\q\n")
    assert "words | first" in told and "division by zero" in told and "words | second" in told, told


@case("pgcli", "queries from a file")
def _():
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write("select 'one' as words;\nselect 'two' as words;\n")
        file.flush()
        told = run("-f", file.name)
    assert "one" in told and "two" in told, told


@case("pgcli", "a large result, whole into a file")
def _():
    target = pathlib.Path(HOME.name, "large.txt")
    run("--row-limit", "0", "-t", "--log-file", str(target), "-c", "select n from generate_series(1, 120000) as s (n)")
    same(list(range(1, 120001)), [int(line) for line in target.read_text().splitlines() if line.strip().isdigit()])


@case("pgcli", "errors are told, with their codes if it is asked to")
def _():
    for text, state in (("select nope from recon.exceptions", "42703"), ("select * from recon.nope", "42P01"), ("select 1 / 0", "22012")):
        told = run("-c", "\\v on", "-c", text)
        assert f"SQLSTATE code: {state}" in told, (text, told)


@case("pgcli", "a write is refused")
def _():
    for text in ("insert into recon.summary (check_id) values ('x')", "drop table procore.vendors", "create table x (a int)"):
        told = run("-y", "-c", text)
        assert "the server is read only" in told, (text, told)


done()
