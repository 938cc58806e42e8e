"""ADBC, Polars and ConnectorX: Arrow tables from binary COPY, from cursors, in parts; catalogs, errors, refused writes."""

import datetime
import decimal

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import polars
import psycopg
import pyarrow
import sqlalchemy

from cases import DATABASE, DSN, EXCEPTIONS, HOST, PASSWORD, PORT, USER, case, done, same

ADDRESS = f"postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}"
MOMENT = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
TYPES = """select 123456789012345678901234567890.12345678::numeric(38, 8) as number, 7::bigint as whole, date '2024-02-29' as day,
  timestamptz '2024-02-29 12:30:00+00' as moment, null::text as nothing, true as truth, 'it''s "q" żółć 漢😀'::text as words,
  1.5::float8 as rough, 2::int2 as small, 3::int4 as medium, '\\xdead'::bytea as bytes"""

plain = psycopg.connect(DSN, autocommit=True)
ALL = plain.execute(EXCEPTIONS).fetchall()
assert len(ALL) > 100, len(ALL)
connection = adbc.connect(ADDRESS, autocommit=True)


def ask(text, arguments=None):
    with connection.cursor() as cursor:
        cursor.execute(text, arguments)
        return cursor.fetch_arrow_table()


def refused(state, body):
    """What the body is refused with, and that the connection goes on."""
    try:
        body()
    except adbc_driver_manager.Error as error:
        assert error.sqlstate == state or (error.sqlstate is None and state == "25006" and "read only" in str(error)), (error.sqlstate, error)
    else:
        raise AssertionError("it was carried out")
    same([1], ask("select 1 as one")["one"].to_pylist())


@case("adbc", "who is there")
def _():
    told = connection.adbc_get_info()
    same("PostgreSQL", told["vendor_name"])
    assert told["vendor_version"].startswith("1600"), told
    same((DATABASE, "recon"), (connection.adbc_current_catalog, connection.adbc_current_db_schema))


@case("adbc", "values of every type")
def _():
    found = ask(TYPES).to_pylist()[0]
    same("123456789012345678901234567890.12345678", found["number"])
    same((7, 2, 3, 1.5, True, None), tuple(found[name] for name in ("whole", "small", "medium", "rough", "truth", "nothing")))
    same((datetime.date(2024, 2, 29), MOMENT), (found["day"], found["moment"]))
    same(('it\'s "q" żółć 漢😀', b"\xde\xad"), (found["words"], found["bytes"]))


@case("adbc", "every exception as others read it")
def _():
    found = ask(EXCEPTIONS)
    same([row[2] for row in ALL], found["exception_key"].to_pylist())
    same([row[12] for row in ALL], [None if text is None else decimal.Decimal(text) for text in found["amount_at_risk"].to_pylist()])
    same([row[16] for row in ALL], found["first_seen_at"].to_pylist())
    same([row[25] for row in ALL], found["is_carried"].to_pylist())


@case("adbc", "parameters, one row of them and many")
def _():
    same([{"one": 5, "other": "a'b"}], ask("select $1::bigint + 1 as one, $2::text as other", (4, "a'b")).to_pylist())
    same(["V1"], ask("select check_id from recon.summary where check_id = $1", ("V1",))["check_id"].to_pylist())
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_sql_query("select $1::bigint * 2 as double")
        cursor.adbc_statement.bind(pyarrow.record_batch({"1": pyarrow.array([1, 2, 3])}))
        stream, _ = cursor.adbc_statement.execute_query()
        same([2, 4, 6], pyarrow.RecordBatchReader.from_stream(stream).read_all()["double"].to_pylist())


@case("adbc", "a large result as a stream of batches")
def _():
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": "65536"})
        cursor.execute("select n, repeat('x', 40) as filling from generate_series(1, 200000) as s (n)")
        sizes, total = [], 0
        for batch in cursor.fetch_record_batch():
            sizes.append(batch.num_rows)
            total += sum(batch["n"].to_pylist())
    same((200000, 200000 * 200001 // 2), (sum(sizes), total))
    assert len(sizes) > 20, sizes


@case("adbc", "the columns of a query before it runs")
def _():
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("select check_id, first_seen_at, age_days from recon.exceptions where check_id = $1")
    same(["check_id", "first_seen_at", "age_days"], schema.names)
    same([pyarrow.string(), pyarrow.timestamp("us", "UTC"), pyarrow.int64()], schema.types)


@case("adbc", "schemas, kinds of tables, a table's columns")
def _():
    catalogs = connection.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
    same([DATABASE], [catalog["catalog_name"] for catalog in catalogs])
    assert {"recon", "pm", "procore"} <= {schema["db_schema_name"] for schema in catalogs[0]["catalog_db_schemas"]}, catalogs
    assert {"table", "view"} <= set(connection.adbc_get_table_types())
    schema = connection.adbc_get_table_schema("exceptions", db_schema_filter="recon")
    same([column.name for column in plain.execute("select * from recon.exceptions limit 0").description], schema.names)
    same(pyarrow.timestamp("us", "UTC"), schema.field("first_seen_at").type)


@case("adbc", "an error has its code, and the connection goes on")
def _():
    refused("42703", lambda: ask("select nope from recon.exceptions"))
    refused("42P01", lambda: ask("select * from recon.nope"))
    refused("22012", lambda: ask("select 1 / 0 as x"))


@case("adbc", "writes are refused, of a table and of rows")
def _():
    refused("25006", lambda: ask("create table x (a int)"))
    refused("25006", lambda: ask("insert into recon.summary (check_id) values ('x')"))
    refused("25006", lambda: connection.cursor().adbc_ingest("x", pyarrow.table({"a": [1]})))


@case("adbc", "a transaction that failed is over after its rollback")
def _():
    with adbc.connect(ADDRESS) as other, other.cursor() as cursor:
        try:
            cursor.execute("select 1 / 0")
            cursor.fetchall()
            raise AssertionError("it was answered")
        except adbc_driver_manager.Error as error:
            same("22012", error.sqlstate)
        other.rollback()
        cursor.execute("select 1")
        same((1,), cursor.fetchone())


@case("polars", "over ADBC")
def _():
    found = polars.read_database_uri(EXCEPTIONS, ADDRESS, engine="adbc")
    same([row[2] for row in ALL], found["exception_key"].to_list())
    same([row[16] for row in ALL], found["first_seen_at"].to_list())
    same(polars.Datetime("us", "UTC"), found.schema["first_seen_at"])


for protocol in ("binary", "cursor", "csv", "simple"):

    @case("polars", f"over ConnectorX, protocol {protocol}")
    def _():
        found = polars.read_database_uri(EXCEPTIONS, ADDRESS, engine="connectorx", protocol=protocol)
        same([row[2] for row in ALL], found["exception_key"].to_list())
        same([row[12] for row in ALL], found["amount_at_risk"].to_list())
        same([row[16] for row in ALL], found["first_seen_at"].to_list())
        same([row[25] for row in ALL], found["is_carried"].to_list())


@case("polars", "over ConnectorX, in parts that it divides itself")
def _():
    text = "select n, n * 2 as double from generate_series(1, 120000) as s (n)"
    found = polars.read_database_uri(text, ADDRESS, engine="connectorx", partition_on="n", partition_num=4)
    same((120000, 120000 * 120001), (len(found), found["double"].sum()))


@case("polars", "over ConnectorX, an error and a write")
def _():
    for text, wanted in (("select nope from recon.exceptions", "nope"), ("insert into recon.summary (check_id) values ('x')", "")):
        try:
            polars.read_database_uri(text, ADDRESS, engine="connectorx")
        except RuntimeError as error:
            assert wanted in str(error), error
        else:
            raise AssertionError(f"{text} was carried out")


@case("polars", "over psycopg: a decimal of 38 digits, rows in portions")
def _():
    found = polars.read_database(TYPES, plain)
    same([decimal.Decimal("123456789012345678901234567890.12345678")], found["number"].to_list())
    same([MOMENT], found["moment"].to_list())
    portions = polars.read_database("select n from generate_series(1, 120000) as s (n)", plain, iter_batches=True, batch_size=5000)
    same([5000] * 24, [len(portion) for portion in portions])


@case("polars", "over SQLAlchemy, with a parameter")
def _():
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}")
    text = "select exception_key from recon.exceptions where check_id = :check order by 1"
    found = polars.read_database(text, engine, execute_options={"parameters": {"check": "V1"}})
    same(sorted(row[2] for row in ALL if row[0] == "V1"), found["exception_key"].to_list())


@case("polars", "writing a frame is refused")
def _():
    refused("25006", lambda: polars.DataFrame({"a": [1]}).write_database("recon.x", ADDRESS, engine="adbc"))


done()
