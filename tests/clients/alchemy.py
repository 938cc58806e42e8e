"""SQLAlchemy's reflection and pandas, over each of its drivers."""

import pandas
import sqlalchemy

from cases import DATABASE, HOST, PASSWORD, PORT, USER, case, done, same

for driver in ("psycopg2", "psycopg", "pg8000"):
    engine = sqlalchemy.create_engine(f"postgresql+{driver}://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}")
    name = f"sqlalchemy {driver}"

    @case(name, "schemas, tables, views")
    def _():
        about = sqlalchemy.inspect(engine)
        schemas = about.get_schema_names()
        assert {"recon", "pm", "erp", "procore"} <= set(schemas) and "pg_catalog" not in schemas, schemas
        assert "vendors" in about.get_table_names("procore")
        assert "exceptions" in about.get_view_names("recon")
        assert about.has_table("summary", "recon") and not about.has_table("nope", "recon")

    @case(name, "columns, with precision and comments")
    def _():
        columns = {column["name"]: column for column in sqlalchemy.inspect(engine).get_columns("exceptions", "recon")}
        same("NUMERIC(18, 2)", str(columns["amount_at_risk"]["type"]))
        same("the check that found it", columns["check_id"]["comment"])
        assert not columns["check_id"]["nullable"] and columns["label"]["nullable"]

    @case(name, "keys, indexes, references")
    def _():
        about = sqlalchemy.inspect(engine)
        same(["_key"], about.get_pk_constraint("vendors", "procore")["constrained_columns"])
        same(["check_id", "exception_key"], about.get_pk_constraint("exceptions", "recon")["constrained_columns"])
        same([["id"]], [unique["column_names"] for unique in about.get_unique_constraints("vendors", "procore")])
        indexes = about.get_indexes("purchase_orders", "acumatica")
        same([["type", "order_nbr"]], [index["column_names"] for index in indexes])
        keys = about.get_foreign_keys("commitments", "pm")
        vendors = [key for key in keys if key["referred_table"] == "vendors"]
        same([["source", "vendor_id"]], [key["constrained_columns"] for key in vendors])
        same([["source", "record_id"]], [key["referred_columns"] for key in vendors])
        same("pm", vendors[0]["referred_schema"])

    @case(name, "checks, comments, definitions, enums, sequences")
    def _():
        about = sqlalchemy.inspect(engine)
        same([], about.get_check_constraints("vendors", "procore"))
        assert about.get_table_comment("exceptions", "recon")["text"]
        assert "select" in about.get_view_definition("exceptions", "recon").lower()
        same([], about.get_enums("recon"))
        same([], about.get_sequence_names("recon"))
        same([], about.get_materialized_view_names("recon"))

    @case(name, "a whole schema at once")
    def _():
        known = sqlalchemy.MetaData()
        known.reflect(engine, schema="recon", views=True)
        references = known.tables["recon.exceptions"].foreign_keys
        same(["recon.summary.check_id"], [key.target_fullname for key in references])
        return len(known.tables)

    @case(name, "a reflected table, asked")
    def _():
        table = sqlalchemy.Table("exceptions", sqlalchemy.MetaData(), schema="recon", autoload_with=engine)
        with engine.connect() as connection:
            rows = connection.execute(sqlalchemy.select(table).where(table.c.amount_at_risk > 100).limit(5)).fetchall()
            assert rows and all(row.amount_at_risk > 100 for row in rows)
            some = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).where(table.c.label.like("%a/%", escape="/"))).scalar()
            same(0, some)

    @case(name, "rows in portions")
    def _():
        with engine.connect().execution_options(stream_results=True) as connection:
            rows = connection.execute(sqlalchemy.text("select n from generate_series(1, 5000) as s (n)")).fetchall()
            same(list(range(1, 5001)), [row[0] for row in rows])

    @case(f"pandas {driver}", "a table, a query, in chunks")
    def _():
        table = pandas.read_sql_table("exceptions", engine, schema="recon")
        query = pandas.read_sql("select * from recon.exceptions", engine)
        chunks = list(pandas.read_sql("select * from recon.exceptions", engine, chunksize=3))
        same(len(table), len(query))
        same(len(table), sum(map(len, chunks)))
        same(list(table.columns), list(query.columns))
        assert pandas.api.types.is_datetime64_any_dtype(table["first_seen_at"]), table.dtypes
        return len(table)

done()
