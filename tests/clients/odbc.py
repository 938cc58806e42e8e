"""psqlODBC, as Excel and others use it: queries, parameters, cursors, metadata, with the settings that people choose."""

import decimal

import pyodbc

from cases import DATABASE, HOST, PASSWORD, PORT, USER, case, done, same

BASE = f"Driver={{PostgreSQL Unicode}};Server={HOST};Port={PORT};Uid={USER};Pwd={PASSWORD};Database={DATABASE};"
FIELDS = "select check_id, exception_key, amount_at_risk, first_seen_at, age_days, is_carried from recon.exceptions"
ORDER = " order by check_id, exception_key"


def connect(options, autocommit=True):
    return pyodbc.connect(BASE + options, autocommit=autocommit)


def tuples(cursor):
    return [tuple(row) for row in cursor.fetchall()]


ALL = tuples(connect("").cursor().execute(FIELDS + ORDER))
assert len(ALL) > 3

for options in ("", "UseDeclareFetch=1;Fetch=2", "UseServerSidePrepare=0", "Protocol=7.4-2", "Protocol=7.4-0", "UseDeclareFetch=1;UseServerSidePrepare=0"):
    client = f"odbc [{options}]"

    @case(client, "a query")
    def _():
        same(ALL, tuples(connect(options).cursor().execute(FIELDS + ORDER)))

    @case(client, "parameters")
    def _():
        text = FIELDS + " where check_id = ? and amount_at_risk > ?" + ORDER
        expected = [row for row in ALL if row[0] == "V1" and row[2] > 1]
        assert expected
        same(expected, tuples(connect(options).cursor().execute(text, "V1", decimal.Decimal("1.0"))))

    @case(client, "parameters in a transaction")
    def _():
        connection = connect(options, autocommit=False)
        rows = tuples(connection.cursor().execute(FIELDS + " where check_id = ?" + ORDER, "V1"))
        same([row for row in ALL if row[0] == "V1"], rows)
        connection.rollback()

    @case(client, "an error, and on")
    def _():
        if options == "Protocol=7.4-0":
            return "left to the client by this setting"
        connection = connect(options, autocommit=False)
        try:
            connection.cursor().execute("select nope from recon.exceptions")
            raise AssertionError("it was answered")
        except pyodbc.Error as error:
            assert error.args[0] in ("42S22", "42703"), error
        same([(1,)], tuples(connection.cursor().execute("select 1")))

about = connect("").cursor()


@case("odbc", "tables and columns")
def _():
    names = [row.table_name for row in about.tables(schema="recon").fetchall()]
    assert "exceptions" in names, names
    columns = [(row.column_name, row.type_name, row.column_size, row.decimal_digits) for row in about.columns(table="exceptions", schema="recon").fetchall()]
    assert ("amount_at_risk", "numeric", 18, 2) in columns, columns


@case("odbc", "keys")
def _():
    same([("vendors", "_key", 1)], [(row.table_name, row.column_name, row.key_seq) for row in about.primaryKeys(table="vendors", schema="procore").fetchall()])
    same(["check_id", "exception_key"], [row.column_name for row in about.primaryKeys(table="exceptions", schema="recon").fetchall()])
    references = lambda **asked: {(row.fktable_schem, row.fktable_name, row.fkcolumn_name, row.pktable_schem, row.pktable_name, row.pkcolumn_name) for row in about.foreignKeys(**asked).fetchall()}
    vendor = ("pm", "commitments", "vendor_id", "pm", "vendors", "record_id")
    assert vendor in references(foreignTable="commitments", foreignSchema="pm")
    assert vendor in references(table="vendors", schema="pm")
    same({("recon", "exceptions", "check_id", "recon", "summary", "check_id")}, references(foreignTable="exceptions", foreignSchema="recon"))


@case("odbc", "statistics, types, procedures, row ids")
def _():
    about.statistics(table="vendors", schema="procore", unique=True).fetchall()
    about.procedures().fetchall()
    assert len(about.getTypeInfo().fetchall()) > 5
    about.rowIdColumns("vendors", schema="procore").fetchall()


done()
