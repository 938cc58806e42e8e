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


def refused(connection, text):
    """The error that a statement ends with."""
    try:
        connection.execute(text)
    except psycopg.Error as error:
        return error
    raise AssertionError(f"{text} was answered")


def untyped(text, *values):
    """Rows as text, for parameters that are sent without a type."""
    result = three.pgconn.exec_params(text.encode(), [value.encode() for value in values])
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, (text, result.error_message.decode())
    return [tuple(result.get_value(row, column).decode() for column in range(result.nfields)) for row in range(result.ntuples)]


def copied(text):
    with three.cursor().copy(f"copy {text}") as copy:
        return b"".join(copy)


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


@case("psycopg", "an error leaves the connection usable, with its code")
def _():
    for text, state in (
        ("select nope from recon.exceptions", "42703"),
        ("select v.nope from pm.vendors as v", "42703"),
        ("select name from pm.vendors order by nope", "42703"),
        ("select * from recon.nope", "42P01"),
        ("select * from nope.vendors", "42P01"),
        ("select 'nope'::regclass", "42P01"),
        ("select 'nope'::regtype", "42704"),
        ("select 'nope'::regnamespace", "3F000"),
        ("select has_table_privilege('nope', 'select')", "42P01"),
        ("select n, (select m from generate_series(1, 3) t(m) where m > n limit 2) from generate_series(1, 3) s(n)", "21000"),
        ("copy pm.nope to stdout", "42P01"),
        ("selec 1", "42601"),
        ("select name from pm.vendors where", "42601"),
        ("select 1 union select 1, 2", "42601"),
        ("select nofunction(1)", "42883"),
        ("select sum(name) from pm.vendors", "42883"),
        ("select name + 1 from pm.vendors", "42883"),
        ("select name from pm.vendors where name", "42804"),
        ("select name, count(*) from pm.vendors", "42803"),
        ("select check_id from recon.exceptions where sum(amount_at_risk) > 1", "42803"),
        ("select source from pm.vendors v, pm.commitments c", "42702"),
        ("select 'a'::nosuchtype", "42704"),
        ("select 1/0", "22012"),
        ("select 5 % (count(*) - count(*)) from pm.vendors", "22012"),
        ("select 'x'::int", "22P02"),
        ("select name::numeric from pm.vendors", "22P02"),
        ("select 'perhaps'::bool", "22P02"),
        ("select 'soon'::date", "22007"),
        ("select '2024-02-30'::date", "22008"),
        ("select '25:00'::time", "22008"),
        ("select 3000000000::int", "22003"),
        ("select '3000000000'::int", "22003"),
        ("select 1e40::numeric(10, 2)", "22003"),
        ("select 9223372036854775807 + 1", "22003"),
        ("select n * 4611686018427387904 from generate_series(1, 3) t(n)", "22003"),
        ("select -2 - n::int - 2147483647 from generate_series(9223372036854775807, 9223372036854775807) t(n)", "22003"),
        ("select 2147483647::int + 1::int", "22003"),
        ("select sqrt(-1)", "2201F"),
        ("select ln(0)", "2201E"),
        ("select log(n - 3) from generate_series(1, 3) t(n)", "2201E"),
        ("select acos(2)", "22003"),
        ("select chr(0)", "54000"),
        ("select substring('abc' from 1 for -1)", "22011"),
        ("select 'abc' ~ '('", "2201B"),
        ("select * from pm.vendors t, pm.vendors t", "42712"),
        ("select * from pm.vendors limit -1", "2201W"),
        ("select (select name from pm.vendors)", "21000"),
        ("show nothing", "42704"),
        ("set nothing = 1", "42704"),
        ("select current_setting('nothing')", "42704"),
        ("set timezone = 'Mars/Olympus'", "22023"),
        ("fetch 1 from nocursor", "34000"),
        ("close nocursor", "34000"),
        ("execute nothing", "26000"),
        ("deallocate nothing", "26000"),
        ("savepoint a", "25P01"),
    ):
        same((text, state), (text, refused(three, text).sqlstate))
    for text, state in (("declare twice cursor for select 1", "42P03"), ("prepare twice as select 1", "42P05")):
        three.execute("begin")
        three.execute(text)
        same((text, state), (text, refused(three, text).sqlstate))
        same("25P02", refused(three, "select 1").sqlstate)
        three.execute("rollback")
    three.execute("deallocate twice")
    same([(1,)], ask("select 1"))


@case("psycopg", "an answer that would take the server's memory is refused")
def _():
    long = "repeat('x', 10000000)"
    for text in (
        "repeat('x', 2000000000)",
        "repeat(n::text, 2000000000) from generate_series(1, 3) t(n)",
        "lpad('x', 2000000000)",
        "rpad('x', 2000000000, 'yz')",
        f"replace({long}, 'x', repeat('y', 1000000))",
        f"regexp_replace({long}, '.', repeat('y', 1000000), 'g')",
        f"array_to_string(string_to_array({long}, 'x'), repeat('y', 1000000))",
        "array_repeat(1, 1000000000000)",
        "array_resize(array[1], 1000000000000)",
        "range(1, 1000000000000)",
        "range(date '0001-01-01', date '9999-12-31', interval '1 microsecond')",
        "string_agg(n::text, repeat('y', 1000000)) from generate_series(1, 10000) t(n)",
        "string_agg(n::text, repeat('y', 1000000)) over () from generate_series(1, 10000) t(n)",
    ):
        same((text, "54000"), (text, refused(three, f"select length(({text})::text)" if " from " not in text else f"select {text}").sqlstate))
    same([(1_000_000,)], ask(f"select length(replace(repeat('x', 1000000), 'y', {long}))"))
    same([("a,b,null",)], ask("select array_to_string(array['a', 'b', null], ',', 'null')"))


@case("psycopg", "a plan is explained of a statement with parameters")
def _():
    for text in ("", "analyze", "(format json)", "(analyze, format json)"):
        rows = ask(f"explain {text} select * from recon.exceptions where check_id = %s limit %s", ("V1", 3))
        assert "V1" in str(rows), rows
    three.execute("prepare explained as explain select * from pm.vendors where name = $1")
    assert "Acme" in str(ask("execute explained('Acme')"))
    three.execute("deallocate explained")


@case("psycopg", "an error says where it is, and what was meant")
def _():
    for text, place in (("select 1, '2x'::int", "11"), ("selec 1", "1"), ("select name\nfrom pm.vendors,, pm.projects", "29"), ("select 'ö', (1 + ) from pm.vendors", "18")):
        same((text, place), (text, refused(three, text).diag.statement_position))
    same("did you mean pm.vendors?", refused(three, "select * from pm.vendorz").diag.message_hint)
    assert "recon.summary" in refused(three, "select * from pm.summary").diag.message_hint


@case("psycopg", "notices, as PostgreSQL words them")
def _():
    with psycopg.connect(DSN, autocommit=True) as connection:
        told = []
        connection.add_notice_handler(lambda notice: told.append((notice.severity, notice.sqlstate, notice.message_primary)))
        for text in ("commit", "begin", "begin", "rollback", "set local timezone = 'UTC'", "rollback"):
            connection.execute(text)
        none = ("WARNING", "25P01", "there is no transaction in progress")
        local = ("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks")
        same([none, ("WARNING", "25001", "there is already a transaction in progress"), local, none], told)


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
        "copy recon.summary to program 'cat'",
        "explain analyze copy recon.summary to '/tmp/x'",
        "explain analyze delete from pm.vendors",
        "prepare w as delete from pm.vendors",
        "declare w cursor for delete from pm.vendors",
        "with w as (delete from pm.vendors returning name) select * from w",
        "copy (delete from pm.vendors returning name) to stdout",
        "create schema x",
        "create database x",
        "comment on view recon.summary is 'x'",
        "set datafusion.execution.target_partitions = 1",
        "set datafusion.sql_parser.dialect = 'mysql'",
        "truncate recon.summary",
    ):
        try:
            three.execute(text)
            raise AssertionError(f"{text} was carried out")
        except psycopg.Error as error:
            assert error.sqlstate in ("25006", "42501", "42704", "0A000"), (text, error.sqlstate)


@case("psycopg", "no file is a table")
def _():
    for source in ("'/etc/passwd'", '"/etc/passwd"', "read_csv('/etc/passwd')", "pg_read_file('/etc/passwd')", "glob('/etc/*')"):
        assert refused(three, f"select * from {source}").sqlstate in ("42P01", "42883"), source
    same("42883", refused(three, "select pg_read_file('/etc/passwd')").sqlstate)


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


@case("psycopg", "start-up options have their effect, and wrong ones are refused")
def _():
    with psycopg.connect(DSN, options="-c timezone=Asia/Tokyo -c search_path=pm --statement-timeout=5s", autocommit=True) as connection:
        one = lambda text: connection.execute(text).fetchone()[0]
        same("2024-01-01 21:00:00+09", one("select ('2024-01-01 12:00:00+00'::timestamptz)::text"))
        same(ask("select count(*) from pm.vendors"), [(one("select count(*) from vendors"),)])
        same("5s", one("show statement_timeout"))
        connection.execute("set timezone = 'UTC'")
        connection.execute("set search_path = erp")
        connection.execute("reset timezone")
        same(("Asia/Tokyo", "erp"), (one("select current_setting('TimeZone')"), one("select current_schema")))
        connection.execute("discard all")
        same(("Asia/Tokyo", "pm"), (one("show timezone"), one("select current_schema")))
        same("Asia/Tokyo", connection.info.parameter_status("TimeZone"))
    for wrong in ("-c nothing=1", "-c timezone=Mars"):
        try:
            psycopg.connect(DSN, options=wrong)
        except psycopg.OperationalError as error:
            assert "parameter" in str(error), error
        else:
            raise AssertionError(f"{wrong} was accepted")


@case("psycopg", "settings are shown, read, reset, and local to a transaction")
def _():
    with psycopg.connect(DSN, autocommit=True) as connection:
        one = lambda text: connection.execute(text).fetchone()[0]
        same((None, "16"), (one("select current_setting('nothing', true)"), one("show server_version").split(".")[0]))
        same("named", one("select set_config('application_name', 'named', false)"))
        same("named", one("show application_name"))
        connection.execute("reset application_name")
        same("", one("select current_setting('application_name')"))
        connection.execute("begin read only")
        connection.execute("set local time zone 'Asia/Tokyo'")
        same(("Asia/Tokyo", "on"), (one("show timezone"), one("show transaction_read_only")))
        connection.execute("rollback")
        same("UTC", one("show timezone"))


@case("psycopg", "what a session sets and prepares is its own")
def _():
    with psycopg.connect(DSN, autocommit=True) as one, psycopg.connect(DSN, autocommit=True) as other:
        one.execute("prepare mine as select 1")
        one.execute("set statement_timeout = '7s'")
        same("26000", refused(other, "execute mine").sqlstate)
        same(("0",), other.execute("show statement_timeout").fetchone())


@case("psycopg2", "cursors declared, fetched and closed in one batch")
def _():
    for name, text in (("c", "select name from pm.vendors order by 1"), ('"Other C"', "select check_id from recon.summary order by check_id")):
        rows = ask2(text)
        same(rows[2:3], ask2(f"declare {name} cursor with hold for {text}; fetch 2 from {name}; fetch next from {name}"))
        same(rows[3:], ask2(f"fetch 2000000000 in {name}"))
        same([], ask2(f"fetch all from {name}"))
        two.cursor().execute(f"close {name}")
        same(rows[:3], ask2(f"begin; declare {name} no scroll cursor for {text}; fetch forward 3 from {name}"))
        two.cursor().execute("commit")
        same("34000", refused(three, f"fetch 1 from {name}").sqlstate)


@case("psycopg2", "a held cursor outlives its transaction")
def _():
    connection = psycopg2.connect(DSN)
    cursor = connection.cursor("held", withhold=True)
    cursor.execute("select n from generate_series(1, 9) as s (n)")
    same([(1,), (2,)], cursor.fetchmany(2))
    connection.commit()
    same([(3,), (4,)], cursor.fetchmany(2))
    cursor.close()


@case("psycopg", "savepoints take an error back")
def _():
    three.execute("begin")
    three.execute('savepoint "A b"')
    same("22012", refused(three, "select 1/0").sqlstate)
    same("25P02", refused(three, "select 1").sqlstate)
    three.execute('rollback to savepoint "A b"')
    same([(1,)], ask("select 1"))
    three.execute('release "A b"')
    same("3B001", refused(three, 'release savepoint "A b"').sqlstate)
    three.execute("rollback")
    with two.cursor() as cursor:
        cursor.execute("BEGIN;SAVEPOINT _per_query_svp_;DEALLOCATE ALL;RELEASE _per_query_svp_")
        cursor.execute("SAVEPOINT _EXEC_SVP_1;SELECT 1;RELEASE _EXEC_SVP_1;COMMIT")


ODD = r"""select 1.50 as a, 'x,y' as b, null as c, e'q"t\t\n\\' as d, true as e, date '2024-01-01' as f, array[1, 2] as g, '\x00ff'::bytea as h, '' as i"""


@case("psycopg", "copy, letter by letter as PostgreSQL writes it")
def _():
    for text, wanted in (
        (f"({ODD}) to stdout", b"1.50\tx,y\t\\N\tq\"t\\t\\n\\\\\tt\t2024-01-01\t{1,2}\t\\\\x00ff\t\n"),
        (f"({ODD}) to stdout (format csv, header)", b'a,b,c,d,e,f,g,h,i\n1.50,"x,y",,"q""t\t\n\\",t,2024-01-01,"{1,2}",\\x00ff,""\n'),
        ("(select 'a|b' as a, null as b) to stdout with delimiter '|' null '-'", b"a\\|b|-\n"),
        ("(select 'it''s' as a, 2 as b) to stdout csv header quote as '''' delimiter as ';'", b"a;b\n'it''s';2\n"),
        ("(select 1 as a, null as b) to stdout with (format csv, null 'NULL', force_quote (a), encoding 'UTF8')", b'"1",NULL\n'),
        (r"(select e'\\.' as a) to stdout csv", b'"\\."\n'),
        ("(select 1 as a where false) to stdout with (format csv, header true)", b"a\n"),
        ("(values (1, 'x')) to stdout", b"1\tx\n"),
        ("(with a as (select 1 as x) select * from a) to stdout", b"1\n"),
    ):
        same((text, wanted), (text, copied(text)))
    same(copied("(select check_id, title from recon.summary) to stdout csv"), copied("recon.summary (check_id, title) to stdout with csv"))
    for binary in ("with binary", "(format binary)", '(format "binary")'):
        same(b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1\0\0\0\1x\xff\xff", copied(f"(select 'x'::text) to stdout {binary}"))


@case("psycopg", "parameters without a type get it from the query")
def _():
    count = lambda text, *values: int(untyped(f"select count(*) from {text}", *values)[0][0])
    checks = sorted({row[0] for row in ALL})[:2]
    ones = [row[1] for row in ALL].count(1)
    same(len([row for row in ALL if row[0] in checks]), count("recon.exceptions where check_id = any($1)", '{"' + '","'.join(checks) + '"}'))
    same(ones, count("recon.exceptions where check_version = any ($1)", "{1,11}"))
    same(ones, count("recon.exceptions e where e.check_version = any($1)", '{"1"}'))
    same(1, count("recon.summary where check_id = any($1)", "{V1,none}"))
    same(len([row for row in ALL if row[12] and row[12] > 100]), count("recon.exceptions where amount_at_risk > $1", "100"))
    same(len(ALL), count("recon.exceptions where first_seen_at > $1 and first_seen_at < $2::date", "2000-01-01", "2100-01-01"))
    names = untyped("select name from pm.vendors order by name limit $1 offset $2", "2", "1")
    same(names, untyped("select name from pm.vendors order by 1 offset $2 rows fetch first $1 rows only", "2", "1"))
    same([("6", "ax", "5")], untyped("select $1 + 1, $2 || 'x', $3::int", "5", "a", "5"))
    same([("2024-02-01 00:00:00",)], untyped("select date_trunc($1, timestamp '2024-02-03')", "month"))


@case("psycopg", "what a query will answer is described before")
def _():
    text = "select amount_at_risk, check_id, first_seen_at, is_carried from recon.exceptions where check_id = $1 and amount_at_risk > $2 and first_seen_at < $3 limit $4"
    three.pgconn.prepare(b"", text.encode())
    told = three.pgconn.describe_prepared(b"")
    same([25, 1700, 1184, 20], [told.param_type(place) for place in range(told.nparams)])
    same([1700, 25, 1184, 16], [told.ftype(place) for place in range(told.nfields)])
    described = three.execute("select amount_at_risk, amount_at_risk::numeric(10, 1), check_version from recon.exceptions limit 1").description
    same([(18, 2), (10, 1), (None, None)], [(column.precision, column.scale) for column in described])


@case("psycopg", "rows come while the query still runs")
def _():
    for binary in (False, True):
        with psycopg.connect(DSN) as connection:
            rows = connection.cursor(binary=binary).stream("select n from generate_series(1, 10000000000) as s (n)")
            same([(1,), (2,), (3,)], [next(rows) for _ in range(3)])
            rows.close()
            connection.rollback()
            same((1,), connection.execute("select 1").fetchone())


@case("psycopg", "a timeout ends a query, a fetch, an explain, a copy")
def _():
    runaway = "select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0"
    with psycopg.connect(DSN, autocommit=True) as connection:
        connection.execute("set statement_timeout = '300ms'")
        connection.execute(f"declare r cursor with hold for {runaway}")
        for text in (runaway, "fetch 1 from r", f"explain analyze {runaway}"):
            start = time.monotonic()
            same((text, "57014"), (text, refused(connection, text).sqlstate))
            assert time.monotonic() - start < 20, text
        try:
            with connection.cursor().copy(f"copy ({runaway}) to stdout") as copy:
                copy.read()
            raise AssertionError("it ended by itself")
        except psycopg.errors.QueryCanceled:
            pass


@case("psycopg", "a table is looked for in each schema of the path")
def _():
    with psycopg.connect(DSN, autocommit=True) as connection:
        expected = connection.execute("select count(*) from recon.exceptions").fetchall()
        connection.execute('set search_path = "$user", pm, nosuch, recon')
        same(expected, connection.execute("select count(*) from exceptions").fetchall())
        same(expected, connection.execute("with vendors as (select * from exceptions e) select count(*) from vendors").fetchall())
        same([("pm",)], connection.execute("select current_schema").fetchall())
        counts = []
        for path in ("pm", "erp", "erp, pm"):
            connection.execute(f"set search_path = {path}")
            counts += connection.execute("select count(*) from vendors", prepare=True).fetchall()
        full = connection.execute("select (select count(*) from pm.vendors), (select count(*) from erp.vendors)").fetchone()
        same([(full[0],), (full[1],), (full[1],)], counts)


@case("psycopg", "OIDs are those of any other session and start")
def _():
    asked = "select oid, relname from pg_class union all select oid, conname from pg_constraint union all select oid, nspname from pg_namespace order by 1"
    with psycopg.connect(DSN, autocommit=True) as other:
        same(ask(asked), other.execute(asked).fetchall())
    same([(1221235303,)], ask("select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'pm' and c.relname = 'vendors'"))


@case("psycopg", "texts go both ways in the client's encoding")
def _():
    for encoding, text in (("latin1", "Zoë 3½"), ("win1252", "Zoë “x” €"), ("win1251", "Жанна"), ("euc_jp", "東京"), ("utf8", "Zoë “x” € 東京")):
        with psycopg.connect(DSN, client_encoding=encoding, autocommit=True) as connection:
            for binary in (False, True):
                cursor = connection.cursor(binary=binary)
                same((text, f"<{text}>"), cursor.execute("select %s, '<' || %s || '>'", (text, text)).fetchone())
                same((len(text),), cursor.execute(f"select length('{text}')").fetchone())
            cursor = connection.execute(f'select array[%s, %s] as "{text}"', (text, "a,b"))
            same((text, ([text, "a,b"],)), (cursor.description[0].name, cursor.fetchone()))
            with connection.cursor().copy(f"copy (select '{text}'::text as v) to stdout (format csv, header)") as copy:
                same(f"v\n{text}\n", b"".join(copy).decode(connection.info.encoding))
            try:
                connection.execute(f'select * from "{text}"')
                raise AssertionError("there is no such table")
            except psycopg.errors.UndefinedTable as error:
                assert text in str(error), error
    with psycopg.connect(DSN, client_encoding="latin1", autocommit=True) as connection:
        same("22P05", refused(connection, "select chr(8364)").sqlstate)
        same("22023", refused(connection, "set client_encoding to martian").sqlstate)
        connection.execute("set client_encoding to utf8")
        same(("€",), connection.execute("select chr(8364)").fetchone())


@case("psycopg", "a cursor that scrolls goes both ways, another forward alone")
def _():
    with psycopg.connect(DSN) as connection:
        with connection.cursor("both", scrollable=True) as cursor:
            cursor.execute("select n from generate_series(1, 5000) as s (n) order by n")
            same([(1,), (2,)], cursor.fetchmany(2))
            cursor.scroll(-2)
            same((1,), cursor.fetchone())
            cursor.scroll(4999, mode="absolute")
            same([(5000,)], cursor.fetchall())
            same([(5000,), (4999,)], [connection.execute("fetch prior from both").fetchone() for _ in range(2)])
            same([(4998,), (4997,)], connection.execute("fetch backward 2 from BOTH").fetchall())
            same(("MOVE 1", (1,)), (connection.execute("move first in both").statusmessage, connection.execute("fetch relative 0 from both").fetchone()))
        with connection.cursor("one") as cursor:
            cursor.execute("select n from generate_series(1, 5000) as s (n) order by n")
            cursor.scroll(10)
            same((11,), cursor.fetchone())
            same("55000", refused(connection, "fetch prior from one").sqlstate)


@case("psycopg", "a role's sessions see, cancel and end each other")
def _():
    runaway = "select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0"
    with psycopg.connect(DSN, autocommit=True) as one, psycopg.connect(DSN, autocommit=True, application_name="other") as other:
        pid = other.info.backend_pid
        same((pid,), other.execute("select pg_backend_pid()").fetchone())
        ended = []
        thread = threading.Thread(target=lambda: ended.append(refused(other, runaway).sqlstate), daemon=True)
        thread.start()
        for _ in range(200):
            seen = one.execute("select state, query, application_name from pg_stat_activity where pid = %s", (pid,)).fetchone()
            if seen[0] == "active" and seen[1] == runaway:
                break
            time.sleep(0.05)
        same(("active", runaway, "other"), seen)
        # Planning a call is not calling.
        one.execute(f"explain select pg_cancel_backend({pid})").fetchall()
        assert thread.is_alive()
        same((True,), one.execute("select pg_cancel_backend(%s)", (pid,)).fetchone())
        thread.join(30)
        same((["57014"], (1,)), (ended, other.execute("select 1").fetchone()))
        same((False,), one.execute("select pg_terminate_backend(-1)").fetchone())
        same((True,), one.execute("select pg_terminate_backend(%s)", (pid,)).fetchone())
        for _ in range(200):
            if one.execute("select count(*) from pg_stat_activity where pid = %s", (pid,)).fetchone() == (0,):
                break
            time.sleep(0.05)
        try:
            other.execute("select 1")
            raise AssertionError("the session goes on")
        except psycopg.OperationalError as error:
            assert "terminating connection due to administrator command" in str(error), error


done()
