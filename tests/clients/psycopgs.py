"""psycopg 2 and 3: text and binary, parameters, cursors of the server, COPY, transactions, what is refused."""

import csv
import datetime
import decimal
import io
import struct
import threading
import time

import psycopg
import psycopg2

from cases import DSN, EXCEPTIONS, case, done, same

two = psycopg2.connect(DSN)
two.autocommit = True
three = psycopg.connect(DSN, autocommit=True)


def ask(text, *arguments):
    return three.execute(text, *arguments).fetchall()


def ask2(text, *arguments):
    with two.cursor() as cursor:
        cursor.execute(text, *arguments)
        return cursor.fetchall()


ALL = ask(EXCEPTIONS)
assert len(ALL) > 3, ALL


@case("psycopg2", "who and where")
def _():
    same([("demo", "demo", "tieout", "recon", "demo")], ask2("select current_user, session_user, current_database(), current_schema, current_role"))
    assert ask2("select version()")[0][0].startswith("PostgreSQL 16")


@case("psycopg2", "a column twice, once cast")
def _():
    found = ask2("select amount_at_risk, amount_at_risk::text from recon.exceptions limit 1")[0]
    same(str(found[0]), found[1])


@case("psycopg2", "rows as psycopg 3 has them")
def _():
    same(ALL, ask2(EXCEPTIONS))


@case("psycopg2", "a named cursor")
def _():
    connection = psycopg2.connect(DSN)
    cursor = connection.cursor(name="abc")
    cursor.itersize = 3
    cursor.execute(EXCEPTIONS)
    same(ALL, list(cursor))
    connection.rollback()


@case("psycopg2", "copy as csv")
def _():
    out = io.StringIO()
    two.cursor().copy_expert(f"copy ({EXCEPTIONS}) to stdout with csv header", out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    same([row[2] for row in ALL], [row["exception_key"] for row in rows])
    same([str(row[12]) if row[12] is not None else "" for row in ALL], [row["amount_at_risk"] for row in rows])


@case("psycopg2", "copy in binary")
def _():
    out = io.BytesIO()
    two.cursor().copy_expert("copy (select check_id from recon.exceptions) to stdout (format binary)", out)
    data = out.getvalue()
    assert data.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8)) and data.endswith(struct.pack("!h", -1)), data


@case("psycopg", "binary rows are text rows")
def _():
    same(ALL, three.cursor(binary=True).execute(EXCEPTIONS).fetchall())


@case("psycopg", "a cursor of the server")
def _():
    with psycopg.connect(DSN) as connection, connection.cursor(name="sc") as cursor:
        cursor.execute(EXCEPTIONS)
        same(ALL[0], cursor.fetchone())
        same(ALL[1:3], cursor.fetchmany(2))
        same(ALL[3:], cursor.fetchall())


@case("psycopg", "a cursor of the server, in binary")
def _():
    with psycopg.connect(DSN) as connection, connection.cursor(name="sc", binary=True) as cursor:
        cursor.execute(EXCEPTIONS)
        same(ALL, cursor.fetchall())


@case("psycopg", "= any(list), of texts and of numbers")
def _():
    checks = sorted({row[0] for row in ALL})[:2]
    expected = len([row for row in ALL if row[0] in checks])
    same([(expected,)], ask("select count(*) from recon.exceptions where check_id = any(%s)", (checks,)))
    same([(2,)], ask("select count(*) from generate_series(1, 9) as s (n) where n = any(%s)", ([2, 3, 11],)))
    same([(0,)], ask("select count(*) from recon.exceptions where check_id = any(%s)", ([],)))


@case("psycopg", "parameters of every type")
def _():
    values = (7, decimal.Decimal("1.25"), "x'y", datetime.date(2024, 2, 29), True, None, b"\x00\xff", 1.5)
    text = "select %s::int8, %s::numeric, %s::text, %s::date, %s::bool, %s::text, %s::bytea, %s::float8"
    for binary in (False, True):
        found = three.cursor(binary=binary).execute(text, values).fetchone()
        same(values, found)
    moment = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
    same((moment,), three.execute("select %s::timestamptz", (moment,)).fetchone())


@case("psycopg", "limit and offset as parameters")
def _():
    same(ALL[1:3], ask(EXCEPTIONS + " limit %s offset %s", (2, 1)))


@case("psycopg", "copy in binary, typed")
def _():
    with three.cursor().copy("copy (select check_id, amount_at_risk, first_seen_at from recon.exceptions order by check_id, exception_key) to stdout (format binary)") as copy:
        copy.set_types(["text", "numeric", "timestamptz"])
        same([(row[0], row[12], row[16]) for row in ALL], list(copy.rows()))


@case("psycopg", "a pipeline")
def _():
    with three.pipeline():
        one, other = three.execute("select 1"), three.execute("select 2")
        same([(1,), (2,)], one.fetchall() + other.fetchall())


@case("psycopg", "a read-only serializable transaction")
def _():
    with psycopg.connect(DSN) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        with connection.transaction():
            with connection.transaction():
                same((1,), connection.execute("select 1").fetchone())


@case("psycopg", "an error leaves the connection usable, with its code and place")
def _():
    for text, state in (
        ("select nope from recon.exceptions", "42703"),
        ("select * from recon.nope", "42P01"),
        ("selec 1", "42601"),
        ("select nofunction(1)", "42883"),
        ("select 1/0", "22012"),
        ("select 'x'::int", "22P02"),
    ):
        try:
            three.execute(text)
            raise AssertionError(f"{text} was answered")
        except psycopg.Error as error:
            same((text, state), (text, error.sqlstate))
    same([(1,)], ask("select 1"))


@case("psycopg", "every write is refused")
def _():
    for text in (
        "insert into recon.summary values (1)",
        "update pm.vendors set name = 'x'",
        "delete from pm.vendors",
        "create table x (a int)",
        "create temp table x as select 1",
        "drop view recon.summary",
        "copy recon.summary to '/tmp/x'",
        "copy recon.summary from stdin",
        "select * into x from recon.summary",
        "set datafusion.execution.target_partitions = 1",
        "truncate recon.summary",
    ):
        try:
            three.execute(text)
            raise AssertionError(f"{text} was carried out")
        except psycopg.Error as error:
            assert error.sqlstate in ("25006", "42501", "42704", "0A000"), (text, error.sqlstate)


@case("psycopg", "cancel ends the work")
def _():
    connection = psycopg.connect(DSN, autocommit=True)
    threading.Timer(1, connection.cancel).start()
    start = time.monotonic()
    try:
        connection.execute("select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0")
        raise AssertionError("it ended by itself")
    except psycopg.errors.QueryCanceled:
        assert time.monotonic() - start < 20
    same((1,), connection.execute("select 1").fetchone())


@case("psycopg", "search_path, time zone and as-of have their effect")
def _():
    with psycopg.connect(DSN, autocommit=True) as connection:
        one = lambda text: connection.execute(text).fetchone()[0]
        connection.execute("set search_path to pm, recon")
        same(one("select count(*) from pm.vendors"), one("select count(*) from vendors"))
        same("pm", one("select current_schema"))
        connection.execute("set timezone to 'America/Chicago'")
        same("2024-01-01 06:00:00-06", one("select ('2024-01-01 12:00:00+00'::timestamptz)::text"))
        connection.execute("discard all")
        same("recon", one("select current_schema"))


done()
