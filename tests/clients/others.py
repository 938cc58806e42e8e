"""asyncpg and pg8000."""

import asyncio
import datetime
import decimal
import io

import asyncpg
import pg8000.dbapi

from cases import DATABASE, EXCEPTIONS, HOST, PASSWORD, PORT, USER, case, done, same


def run(body):
    async def connected():
        connection = await asyncpg.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE)
        try:
            return await body(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


@case("asyncpg", "parameters get their types from the query")
def _():
    async def body(connection):
        rows = await connection.fetch("select * from recon.exceptions where amount_at_risk > $1 limit $2", decimal.Decimal("1.5"), 3)
        same(3, len(rows))
        assert all(row["amount_at_risk"] > 1 for row in rows)
        found = await connection.fetch("select check_id from recon.summary where check_id = any($1) order by 1", ["V1", "O1"])
        same(["O1", "V1"], [row[0] for row in found])

    run(body)


@case("asyncpg", "intervals and texts in lists as parameters")
def _():
    async def body(connection):
        same(2, await connection.fetchval("select count(*) from generate_series(1, 5) t(x) where x = any($1::text[]::bigint[])", ["2", "4", "9"]))
        same(datetime.datetime(2024, 1, 1), await connection.fetchval("select timestamp '2024-01-02' - $1::interval", datetime.timedelta(days=1)))

    run(body)


@case("asyncpg", "lists of every type, whose codecs it asks the catalogue for")
def _():
    utc = datetime.timezone.utc
    lists = {
        "bigint[]": [1, None, 3],
        "int[]": [4],
        "smallint[]": [],
        "numeric[]": [decimal.Decimal("1.5")],
        "double precision[]": [0.25],
        "boolean[]": [True, None],
        "date[]": [datetime.date(2024, 2, 29)],
        "timestamp[]": [datetime.datetime(2024, 1, 1, 12)],
        "timestamptz[]": [datetime.datetime(2024, 1, 1, tzinfo=utc)],
        "text[]": ["a", "b c"],
    }

    async def body(connection):
        for of, values in lists.items():
            same(values, await connection.fetchval(f"select $1::{of}", values))
        amounts = [row[0] for row in await connection.fetch("select distinct amount_at_risk from recon.exceptions where amount_at_risk is not null limit 2")]
        wanted = await connection.fetchval("select count(*) from recon.exceptions where amount_at_risk = $1 or amount_at_risk = $2", amounts[0], amounts[-1])
        same(wanted, await connection.fetchval("select count(*) from recon.exceptions where amount_at_risk = any($1)", amounts))
        same([[20, 25], 20], list(await connection.fetchrow("select array_agg(oid order by oid), min(oid) from pg_type where oid = any($1::oid[])", [20, 25])))

    run(body)


@case("asyncpg", "a cursor in a transaction")
def _():
    async def body(connection):
        rows = await connection.fetch(EXCEPTIONS)
        async with connection.transaction():
            read = [row async for row in connection.cursor(EXCEPTIONS, prefetch=2)]
        same(rows, read)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async with connection.transaction():
                same(1, await connection.fetchval("select 1"))

    run(body)


@case("asyncpg", "copy from a query, a table, in binary")
def _():
    async def body(connection):
        out = io.BytesIO()
        await connection.copy_from_query("select check_id from recon.summary where check_id = $1", "V1", output=out, format="csv")
        same(b"V1\n", out.getvalue())
        out = io.BytesIO()
        await connection.copy_from_table("vendors", schema_name="pm", columns=["source", "record_id"], output=out, format="text")
        same(await connection.fetchval("select count(*) from pm.vendors"), out.getvalue().count(b"\n"))
        out = io.BytesIO()
        await connection.copy_from_table("vendors", schema_name="pm", output=out, format="binary")
        assert out.getvalue().startswith(b"PGCOPY\n")

    run(body)


@case("asyncpg", "reset, reload, and a pool")
def _():
    async def body(connection):
        await connection.reset()
        await connection.reload_schema_state()
        async with asyncpg.create_pool(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, min_size=2, max_size=3) as pool:
            same([1, 2, 3], sorted(await asyncio.gather(*(pool.fetchval("select $1::int", n) for n in (1, 2, 3)))))

    run(body)


@case("asyncpg", "settings of the connection, types, and what ends a query")
def _():
    runaway = "select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0"

    async def body(connection):
        statement = await connection.prepare("select check_id, amount_at_risk from recon.exceptions where amount_at_risk > $1 limit $2")
        same(["numeric", "int8"], [parameter.name for parameter in statement.get_parameters()])
        same([("check_id", "text"), ("amount_at_risk", "numeric")], [(column.name, column.type.name) for column in statement.get_attributes()])
        same("ab", await connection.fetchval("select left('abc', $1)", 2))
        same("b", await connection.fetchval("select split_part('a,b', ',', $1)", 2))
        same(decimal.Decimal("1.25"), await connection.fetchval("select round($1, 2)", decimal.Decimal("1.249")))
        same(0, await connection.fetchval("select count(*) from recon.exceptions where occurred_at > $1", datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)))
        same(datetime.date(2024, 1, 6), await connection.fetchval("select date '2024-01-01' + $1::int", 5))
        try:
            await connection.fetch(runaway, timeout=0.5)
            raise AssertionError("it ended by itself")
        except asyncio.TimeoutError:
            same(1, await connection.fetchval("select 1"))
        settings = {"search_path": "pm", "timezone": "Asia/Tokyo", "statement_timeout": "300ms", "application_name": "named"}
        other = await asyncpg.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE, server_settings=settings)
        same(await connection.fetchval("select count(*) from pm.vendors"), await other.fetchval("select count(*) from vendors"))
        same("2024-01-01 21:00:00+09", await other.fetchval("select ('2024-01-01 12:00:00+00'::timestamptz)::text"))
        try:
            await other.fetch(runaway)
            raise AssertionError("it ended by itself")
        except asyncpg.QueryCanceledError:
            same("named", await other.fetchval("show application_name"))
        await other.close()

    run(body)


@case("pg8000", "a query with parameters")
def _():
    connection = pg8000.dbapi.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database=DATABASE)
    cursor = connection.cursor()
    cursor.execute("select check_id, amount_at_risk, first_seen_at from recon.exceptions where check_id = %s", ("V1",))
    rows = cursor.fetchall()
    assert rows and all(row[0] == "V1" for row in rows), rows
    connection.rollback()


done()
