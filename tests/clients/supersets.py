"""Superset: the program itself with a database of its own, asked over its API as its pages ask it."""

import atexit
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import psycopg2

from cases import DATABASE, DSN, HOST, PASSWORD, PORT, USER, case, done, same

PROGRAM = pathlib.Path(sys.executable).parent / "superset"
HOME = tempfile.TemporaryDirectory()
SETTINGS = """
SECRET_KEY = "for one run and nothing that is kept"
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db"
DISPLAY_MAX_ROW = 200000
WTF_CSRF_ENABLED = TALISMAN_ENABLED = RATELIMIT_ENABLED = False
"""
ADDRESS = f"postgresql+psycopg2://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}"

plain = psycopg2.connect(DSN)
plain.autocommit = True


def ask(text):
    with plain.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall()


def start():
    """Its tables, a user, the server; ends with this program. Answers where it listens."""
    settings = pathlib.Path(HOME.name, "superset_config.py")
    settings.write_text(SETTINGS.format(home=HOME.name))
    surroundings = {**os.environ, "SUPERSET_HOME": HOME.name, "SUPERSET_CONFIG_PATH": str(settings), "FLASK_APP": "superset", "HOME": HOME.name}
    for arguments in (
        ("db", "upgrade"),
        ("fab", "create-admin", "--username", "admin", "--firstname", "a", "--lastname", "b", "--email", "a@example.com", "--password", "admin"),
        ("init",),
    ):
        told = subprocess.run([PROGRAM, *arguments], env=surroundings, capture_output=True, text=True, timeout=300)
        assert told.returncode == 0, told.stdout + told.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(pathlib.Path(HOME.name, "log.txt"), "w") as log:
        server = subprocess.Popen([PROGRAM, "run", "-h", "127.0.0.1", "-p", str(port)], env=surroundings, stdout=log, stderr=log)

    def end():
        server.terminate()
        server.wait(30)

    atexit.register(end)
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            return f"http://127.0.0.1:{port}"
        except OSError:
            assert server.poll() is None, pathlib.Path(HOME.name, "log.txt").read_text()
            time.sleep(0.5)
    raise AssertionError("superset does not answer")


SITE = start()
token = None


def call(method, path, body=None):
    """The status and the document that Superset answers."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(SITE + path, None if body is None else json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def works(method, path, body=None):
    status, told = call(method, path, body)
    assert status in (200, 201), (status, told)
    return told


token = works("POST", "/api/v1/security/login", {"username": "admin", "password": "admin", "provider": "db"})["access_token"]
database = works("POST", "/api/v1/database/", {"sqlalchemy_uri": ADDRESS, "database_name": "tieout", "expose_in_sqllab": True, "allow_dml": True})["id"]
dataset = works("POST", "/api/v1/dataset/", {"database": database, "schema": "recon", "table_name": "exceptions"})["id"]
queries = 0


def lab(text, limit=1000):
    """What SQL Lab does with a query."""
    global queries
    queries += 1
    asked = {"database_id": database, "sql": text, "schema": "recon", "runAsync": False, "queryLimit": limit, "client_id": f"query{queries:05}"}
    return call("POST", "/api/v1/sqllab/execute/", asked)


def chart(source=dataset, kind="full", **query):
    """What a chart reads."""
    asked = {"datasource": {"id": source, "type": "table"}, "force": True, "result_format": "json", "result_type": kind, "queries": [query]}
    answer = works("POST", "/api/v1/chart/data", asked)["result"][0]
    assert not answer.get("error"), answer
    return answer["data"]


def metric(expression):
    return {"expressionType": "SQL", "sqlExpression": expression, "label": "metric"}


@case("superset", "a connection is tried, and one with a wrong password is refused")
def _():
    same("OK", works("POST", "/api/v1/database/test_connection/", {"sqlalchemy_uri": ADDRESS, "database_name": "other"})["message"])
    status, told = call("POST", "/api/v1/database/test_connection/", {"sqlalchemy_uri": ADDRESS.replace(f":{PASSWORD}@", ":no@"), "database_name": "other"})
    same((400, "CONNECTION_INVALID_PASSWORD_ERROR"), (status, told["errors"][0]["error_type"]))


@case("superset", "catalogs, schemas, tables")
def _():
    same([DATABASE], works("GET", f"/api/v1/database/{database}/catalogs/")["result"])
    assert {"recon", "pm", "procore"} <= set(works("GET", f"/api/v1/database/{database}/schemas/")["result"])
    for schema, kind, name in (("recon", "view", "exceptions"), ("procore", "table", "vendors")):
        found = works("GET", f"/api/v1/database/{database}/tables/?q=(schema_name:{schema})")["result"]
        assert (kind, name) in {(entry["type"], entry["value"]) for entry in found}, found


@case("superset", "a view's columns, their types, comments, references")
def _():
    columns = works("GET", f"/api/v1/database/{database}/table_metadata/?name=exceptions&schema=recon")["columns"]
    known = {column["name"]: column for column in columns}
    same("the check that found it", known["check_id"]["comment"])
    same("NUMERIC(18, 2)", known["amount_at_risk"]["longType"])
    same(["summary"], [key["referred_table"] for key in known["check_id"]["keys"] if key["type"] == "fk"])


@case("superset", "a dataset's columns, and which are moments")
def _():
    columns = {column["column_name"]: column for column in works("GET", f"/api/v1/dataset/{dataset}")["result"]["columns"]}
    same([row[0] for row in ask("select column_name from information_schema.columns where table_schema = 'recon' and table_name = 'exceptions' order by 1")], sorted(columns))
    same({"occurred_at", "first_seen_at", "pm_observed_at", "erp_observed_at"}, {name for name, column in columns.items() if column["is_dttm"]})


@case("superset", "SQL Lab: values of every type")
def _():
    status, told = lab(
        """select date '2024-02-29' as day, timestamptz '2024-02-29 12:30:00+00' as moment, null::text as nothing, true as truth,
           'it''s "q" żółć 漢'::text as words, 7::bigint as whole, 123456789012345678901234567890.12345678::numeric(38, 8)::text as number, 1.25::numeric(18, 2) as amount"""
    )
    same(200, status)
    row = told["data"][0]
    same(("2024-02-29", "2024-02-29T12:30:00+00:00"), (row["day"], row["moment"]))
    same((None, True, 'it\'s "q" żółć 漢', 7, 1.25), tuple(row[name] for name in ("nothing", "truth", "words", "whole", "amount")))
    same("123456789012345678901234567890.12345678", row["number"])


@case("superset", "SQL Lab: a large result")
def _():
    status, told = lab("select a.check_id, b.check_id as other from recon.summary a, recon.summary b, recon.summary c", limit=100000)
    same((200, 100000), (status, len(told["data"])))


@case("superset", "SQL Lab: an error is told, a write is refused")
def _():
    for text, wanted in (("select nope from recon.exceptions", "nope"), ("insert into recon.summary (check_id) values ('x')", "the server is read only")):
        status, told = lab(text)
        assert status >= 400 and wanted in json.dumps(told), (text, status, told)


@case("superset", "SQL Lab: what a query will cost")
def _():
    told = works("POST", "/api/v1/sqllab/estimate/", {"database_id": database, "sql": "select * from recon.exceptions", "schema": "recon"})
    assert float(told["result"][0]["Total cost"]) > 0, told


@case("superset", "a chart that groups and orders")
def _():
    found = chart(columns=["check_id"], metrics=[metric("sum(amount_at_risk)"), "count"], orderby=[["check_id", True]], row_limit=1000)
    expected = ask("select check_id, sum(amount_at_risk), count(*) from recon.exceptions group by 1 order by 1")
    same([(name, amount if amount is None else float(amount), count) for name, amount, count in expected], [(row["check_id"], row["metric"], row["count"]) for row in found])


for grain, unit in (("PT1S", "second"), ("PT1M", "minute"), ("PT1H", "hour"), ("P1D", "day"), ("P1W", "week"), ("P1M", "month"), ("P3M", "quarter"), ("P1Y", "year"), ("PT15M", None)):

    @case("superset", f"a chart over time, by {grain}")
    def _():
        axis = {"columnType": "BASE_AXIS", "expressionType": "SQL", "sqlExpression": "first_seen_at", "label": "first_seen_at", "timeGrain": grain}
        over = {"granularity": "first_seen_at", "time_range": "2020-01-01 : 2099-01-01", "extras": {"time_grain_sqla": grain}}
        found = {row["first_seen_at"] / 1000: row["count"] for row in chart(columns=[axis], metrics=["count"], row_limit=100000, **over)}
        begin = f"date_trunc('{unit}', first_seen_at)" if unit else "date_bin('15 minutes', first_seen_at, timestamptz '2020-01-01')"
        same({float(row[0]): row[1] for row in ask(f"select extract(epoch from {begin}), count(*) from recon.exceptions group by 1")}, found)


for operator, value, condition in (
    ("IN", ["V1", "I7"], "check_id in ('V1', 'I7')"),
    ("NOT IN", ["V1"], "check_id not in ('V1')"),
    ("ILIKE", "v%", "check_id ilike 'v%'"),
    ("IS NOT NULL", None, "check_id is not null"),
    ("==", "it's", "check_id = 'it''s'"),
):

    @case("superset", f"a chart with the filter {operator}")
    def _():
        condition_asked = {"col": "check_id", "op": operator} | ({} if value is None else {"val": value})
        same([{"count": ask(f"select count(*) from recon.exceptions where {condition}")[0][0]}], chart(columns=[], metrics=["count"], filters=[condition_asked]))


@case("superset", "a chart with its most important series only")
def _():
    found = chart(columns=["check_id", "severity"], series_columns=["check_id"], series_limit=3, series_limit_metric=metric("count(*)"), metrics=["count"], row_limit=1000)
    most = {row[0] for row in ask("select check_id, count(*) from recon.exceptions group by 1 having count(*) >= (select min(n) from (select count(*) as n from recon.exceptions group by check_id order by 1 desc limit 3) t)")}
    assert len({row["check_id"] for row in found}) == 3 and {row["check_id"] for row in found} <= most, found


@case("superset", "samples, and a column's values for a filter")
def _():
    samples = chart(kind="samples", columns=[], metrics=[], row_limit=5)
    assert len(samples) == 5 and "exception_key" in samples[0], samples
    values = works("GET", f"/api/v1/datasource/table/{dataset}/column/check_id/values/")["result"]
    same(sorted(row[0] for row in ask("select distinct check_id from recon.exceptions")), sorted(values))


@case("superset", "a dataset from a query, and a chart of it")
def _():
    text = "with found as (select check_id, amount_at_risk from recon.exceptions) select check_id, count(*) as n from found group by 1"
    virtual = works("POST", "/api/v1/dataset/", {"database": database, "schema": "recon", "table_name": "counted", "sql": text})["id"]
    same([{"metric": ask("select count(*) from recon.exceptions")[0][0]}], chart(source=virtual, columns=[], metrics=[metric("sum(n)")]))


done()
