"""dbt: a project whose sources are the server's views. What reads works; what would build something is refused."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import psycopg2

from cases import DATABASE, DSN, HOST, PASSWORD, PORT, USER, case, done, same

PROGRAM = pathlib.Path(sys.executable).parent / "dbt"
HOME = tempfile.TemporaryDirectory()
PROJECT = pathlib.Path(HOME.name)
FILES = {
    "dbt_project.yml": "{name: firm, version: '1.0', profile: tieout, model-paths: [models], test-paths: [tests], seed-paths: [seeds]}",
    "profiles.yml": json.dumps(
        {
            "tieout": {
                "target": "demo",
                "outputs": {
                    "demo": {"type": "postgres", "host": HOST, "port": PORT, "user": USER, "password": PASSWORD, "dbname": DATABASE, "schema": "recon", "threads": 2},
                    "wrong": {"type": "postgres", "host": HOST, "port": PORT, "user": USER, "password": "no", "dbname": DATABASE, "schema": "recon"},
                },
            }
        }
    ),
    "models/sources.yml": """
sources:
  - name: recon
    tables:
      - name: exceptions
        config: {loaded_at_field: first_seen_at, freshness: {warn_after: {count: 10000, period: day}}}
        columns:
          - name: check_id
            data_tests:
              - not_null
              - relationships: {arguments: {to: "source('recon', 'summary')", field: check_id}}
          - name: severity
            data_tests: [{accepted_values: {arguments: {values: [none such]}}}]
      - name: summary
        columns: [{name: check_id, data_tests: [unique, not_null]}]
  - name: procore
    tables: [{name: vendors}]
  - name: nowhere
    tables: [{name: nothing}]
""",
    "models/by_check.sql": "select check_id, count(*) as found, sum(amount_at_risk) as at_risk from {{ source('recon', 'exceptions') }} group by 1",
    "models/as_table.sql": "{{ config(materialized='table') }} select * from {{ ref('by_check') }}",
    "models/lost.sql": "{{ config(enabled=var('lost', false)) }} select * from {{ source('nowhere', 'nothing') }}",
    "tests/no_huge_amount.sql": "select * from {{ source('recon', 'exceptions') }} where amount_at_risk > 1e15",
    "seeds/colors.csv": "name\nred\n",
}
for name, text in FILES.items():
    PROJECT.joinpath(name).parent.mkdir(exist_ok=True)
    PROJECT.joinpath(name).write_text(text)

plain = psycopg2.connect(DSN)
plain.autocommit = True


def ask(text):
    with plain.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall()


def dbt(*arguments, works=True):
    """What dbt prints, without colors; whether it ends well is looked at."""
    surroundings = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PROFILES_DIR": HOME.name, "DBT_USE_COLORS": "false", "HOME": HOME.name}
    told = subprocess.run([PROGRAM, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=180, env=surroundings)
    assert (told.returncode == 0) == works, told.stdout + told.stderr
    return told.stdout + told.stderr


def show(*arguments):
    """The rows that `dbt show` finds."""
    told = dbt("--quiet", "show", "--output", "json", *arguments)
    return json.loads(told[told.index("{"):])["show"]


@case("dbt", "debug connects, and is refused with a wrong password")
def _():
    assert "Connection test: [OK connection ok]" in dbt("debug")
    assert "password authentication failed" in dbt("debug", "--target", "wrong", works=False)


@case("dbt", "compile")
def _():
    dbt("compile")
    text = PROJECT.joinpath("target/compiled/firm/models/by_check.sql").read_text()
    assert f'from "{DATABASE}"."recon"."exceptions"' in text, text


@case("dbt", "show of a model")
def _():
    found = {row["check_id"]: (row["found"], round(row["at_risk"] or 0, 2)) for row in show("--select", "by_check", "--limit", "1000")}
    expected = {row[0]: (row[1], round(float(row[2] or 0), 2)) for row in ask("select check_id, count(*), sum(amount_at_risk) from recon.exceptions group by 1")}
    same(expected, found)


@case("dbt", "show of values of every type")
def _():
    text = """select 7 as whole, null::text as nothing, true as truth, date '2024-02-29' as day, timestamptz '2024-02-29 12:30:00+00' as moment,
      'it''s "q" żółć 漢'::text as words, 'x' || 123456789012345678901234567890.12345678::numeric(38, 8) as number"""
    found = show("--inline", text)[0]
    same((7, None, True, 'it\'s "q" żółć 漢'), tuple(found[name] for name in ("whole", "nothing", "truth", "words")))
    assert found["day"].startswith("2024-02-29") and found["moment"].startswith("2024-02-29T12:30:00"), found
    same("x123456789012345678901234567890.12345678", found["number"])


@case("dbt", "show of a large result")
def _():
    found = show("--inline", "select n from generate_series(1, 120000) as s (n)", "--limit", "-1")
    same((120000, 120000 * 120001 // 2), (len(found), sum(int(row["n"]) for row in found)))


@case("dbt", "tests of sources hold, and one that cannot hold counts what it finds")
def _():
    told = dbt("test", "--exclude", "test_name:accepted_values")
    assert "PASS=5 WARN=0 ERROR=0" in told, told
    severities = ask("select count(distinct severity) from recon.exceptions")[0][0]
    assert f"FAIL {severities} " in dbt("test", "--select", "test_name:accepted_values", works=False)


@case("dbt", "freshness of a source")
def _():
    assert "PASS freshness of recon.exceptions" in dbt("source", "freshness")
    latest = json.loads(PROJECT.joinpath("target/sources.json").read_text())["results"][0]["max_loaded_at"]
    same(ask("select max(first_seen_at) from recon.exceptions")[0][0].strftime("%Y-%m-%dT%H:%M:%S"), latest[:19])


@case("dbt", "the catalog has views and tables, their columns, types, comments")
def _():
    dbt("docs", "generate")
    sources = json.loads(PROJECT.joinpath("target/catalog.json").read_text())["sources"]
    exceptions = sources["source.firm.recon.exceptions"]
    same(("VIEW", "BASE TABLE"), (exceptions["metadata"]["type"], sources["source.firm.procore.vendors"]["metadata"]["type"]))
    same("numeric(18,2)", exceptions["columns"]["amount_at_risk"]["type"])
    same("the check that found it", exceptions["columns"]["check_id"]["comment"])
    known = [row[0] for row in ask("select column_name from information_schema.columns where table_schema = 'recon' and table_name = 'exceptions' order by ordinal_position")]
    same(known, list(exceptions["columns"]))


@case("dbt", "an error is told, of a relation that is not there and of syntax")
def _():
    assert "not found" in dbt("show", "--select", "lost", "--vars", "{lost: true}", works=False)
    assert "syntax error" in dbt("show", "--inline", "selec 1", works=False)


for name, arguments in (("a view", ("run", "--select", "by_check")), ("a table", ("run", "--select", "as_table")), ("a seed", ("seed",))):

    @case("dbt", f"building {name} is refused, and dbt says why")
    def _():
        told = dbt(*arguments, works=False)
        assert re.search(r"cannot execute \w+: the server is read only", told) and "PASS=0" in told and "ERROR=1" in told, told


done()
