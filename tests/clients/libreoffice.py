"""LibreOffice Base without a window: its PostgreSQL driver, its tables and queries. Runs with the Python that has UNO."""

import atexit
import pathlib
import subprocess
import tempfile
import time

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.sdbc import SQLException
from com.sun.star.sdb.CommandType import COMMAND, TABLE

from cases import DATABASE, HOST, PASSWORD, PORT, USER, case, done, same

ADDRESS = f"sdbc:postgresql:dbname={DATABASE} hostaddr={HOST} port={PORT}"


def start():
    """A soffice of its own, with a profile of its own; ends with this program."""
    home = tempfile.TemporaryDirectory()
    pipe = pathlib.Path(home.name).name
    office = subprocess.Popen(
        ["soffice", "--headless", "--norestore", "--nologo", f"-env:UserInstallation=file://{home.name}/profile", f"--accept=pipe,name={pipe};urp"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    here = uno.getComponentContext()
    resolver = here.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", here)
    for _ in range(240):
        try:
            context = resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
            break
        except Exception:
            assert office.poll() is None, "soffice ended"
            time.sleep(0.5)
    else:
        office.kill()
        raise AssertionError("soffice does not answer")

    def end():
        try:
            context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context).terminate()
        except Exception:
            pass
        try:
            office.wait(30)
        except subprocess.TimeoutExpired:
            office.kill()
        home.cleanup()

    atexit.register(end)
    return context


context = start()


def service(name):
    return context.ServiceManager.createInstanceWithContext(name, context)


def connect(password=PASSWORD):
    settings = []
    for name, value in (("user", USER), ("password", password)):
        setting = PropertyValue()
        setting.Name, setting.Value = name, value
        settings.append(setting)
    return service("com.sun.star.sdbc.DriverManager").getConnectionWithInfo(ADDRESS, tuple(settings))


connection = connect()
about = connection.getMetaData()


def rows(result, *columns):
    """Some columns of a result, as texts."""
    found = []
    while result.next():
        found.append(tuple(result.getString(column) for column in columns))
    return found


def ask(text, *columns):
    return rows(connection.createStatement().executeQuery(text), *columns)


def refused(text, wanted, execute="executeQuery"):
    try:
        getattr(connection.createStatement(), execute)(text)
    except SQLException as error:
        assert wanted in error.Message, error.Message
    else:
        raise AssertionError(f"{text} was carried out")
    same([("on",)], ask("select 'on' as goes", 1))


@case("libreoffice", "who is there, and a wrong password is refused")
def _():
    same("PostgreSQL", about.getDatabaseProductName())
    assert about.getDatabaseProductVersion().startswith("16"), about.getDatabaseProductVersion()
    try:
        connect("no")
    except SQLException as error:
        assert "password authentication failed" in error.Message, error.Message
    else:
        raise AssertionError("it was let in")


@case("libreoffice", "schemas, tables, views, columns")
def _():
    assert {("recon",), ("pm",), ("procore",)} <= set(rows(about.getSchemas(), 1))
    same([("recon", "exceptions", "VIEW")], rows(about.getTables(None, "recon", "exceptions", ("TABLE", "VIEW")), 2, 3, 4))
    same([("procore", "vendors", "TABLE")], rows(about.getTables(None, "procore", "vendors", ("TABLE", "VIEW")), 2, 3, 4))
    columns = {row[0]: row[1:] for row in rows(about.getColumns(None, "recon", "exceptions", "%"), 4, 6, 9, 12)}
    same(("numeric", "2"), columns["amount_at_risk"][:2])
    same("the check that found it", columns["check_id"][2])
    same([name for name, in ask("select column_name from information_schema.columns where table_schema = 'recon' and table_name = 'exceptions' order by ordinal_position", 1)], list(columns))


@case("libreoffice", "keys and indexes")
def _():
    same([("vendors", "_key")], rows(about.getPrimaryKeys(None, "procore", "vendors"), 3, 4))
    assert {("vendors_pkey", "_key"), ("vendors_id_key", "id")} <= set(rows(about.getIndexInfo(None, "procore", "vendors", False, False), 6, 9))


@case("libreoffice", "values of every type")
def _():
    result = connection.createStatement().executeQuery(
        """select 123456789012345678901234567890.12345678::numeric(38, 8) as number, 7::bigint as whole, date '2024-02-29' as day,
           timestamp '2024-02-29 12:30:05' as moment, null::text as nothing, true as truth, 'it''s "q" żółć 漢'::text as words, 1.5::float8 as rough"""
    )
    assert result.next()
    kinds = result.getMetaData()
    same(["numeric", "int8", "date", "timestamp", "text", "bool", "text", "float8"], [kinds.getColumnTypeName(place) for place in range(1, 9)])
    same("123456789012345678901234567890.12345678", result.getString(1))
    same((7, True, 'it\'s "q" żółć 漢', 1.5), (result.getLong(2), result.getBoolean(6), result.getString(7), result.getDouble(8)))
    day, moment = result.getDate(3), result.getTimestamp(4)
    same((2024, 2, 29), (day.Year, day.Month, day.Day))
    same((2024, 2, 29, 12, 30, 5), (moment.Year, moment.Month, moment.Day, moment.Hours, moment.Minutes, moment.Seconds))
    result.getString(5)
    same(True, result.wasNull())
    same(False, result.next())


@case("libreoffice", "parameters")
def _():
    statement = connection.prepareStatement("select check_id, ?::bigint + 1 from recon.summary where check_id = ? or check_id = ? order by 1")
    statement.setLong(1, 4)
    statement.setString(2, "V1")
    statement.setString(3, "it's")
    same([("V1", "5")], rows(statement.executeQuery(), 1, 2))


@case("libreoffice", "a large result")
def _():
    result = connection.createStatement().executeQuery("select n from generate_series(1, 120000) as s (n)")
    assert result.last()
    same((120000, 120000), (result.getRow(), result.getLong(1)))


@case("libreoffice", "errors are told, writes are refused, the connection goes on")
def _():
    refused("select nope from recon.exceptions", "nope")
    refused("select 1 / 0", "division by zero")
    refused("insert into recon.summary (check_id) values ('x')", "the server is read only", "executeUpdate")
    refused("create table x (a int)", "the server is read only", "execute")


source = service("com.sun.star.sdb.DatabaseContext").createInstance()
source.URL = ADDRESS
base = source.getConnection(USER, PASSWORD)


def row_set(kind, command, **more):
    """What a form or a report of Base reads."""
    read = service("com.sun.star.sdb.RowSet")
    read.ActiveConnection, read.CommandType, read.Command = base, kind, command
    for name, value in more.items():
        setattr(read, name, value)
    read.execute()
    return read


@case("base", "its list of tables, a table's columns and keys")
def _():
    tables = base.getTables()
    assert {"recon.exceptions", "procore.vendors", "pm.vendors"} <= set(tables.getElementNames())
    known = service("com.sun.star.sdbc.DriverManager").getDriverByURL(ADDRESS).getDataDefinitionByConnection(connection)
    vendors = known.getTables().getByName("procore.vendors")
    same(("_key", "_scope", "id", "name"), vendors.getColumns().getElementNames()[:4])
    assert {"vendors_pkey", "vendors_id_key"} <= set(vendors.getKeys().getElementNames())
    references = known.getTables().getByName("procore.work_order_contracts").getKeys()
    assert "procore.projects" in {references.getByIndex(place).ReferencedTable for place in range(references.getCount())}


@case("base", "a view whole, as a form shows it")
def _():
    read = row_set(TABLE, "recon.exceptions")
    read.last()
    same(int(ask("select count(*) from recon.exceptions", 1)[0][0]), read.getRow())


@case("base", "a query with a filter and an order")
def _():
    text = "select check_id, exception_key, amount_at_risk from recon.exceptions"
    read = row_set(COMMAND, text, Filter="check_id = 'V1' and amount_at_risk > 0", ApplyFilter=True, Order="exception_key desc")
    expected = ask(text + " where check_id = 'V1' and amount_at_risk > 0 order by exception_key desc", 1, 2, 3)
    assert expected
    same(expected, rows(read, 1, 2, 3))


@case("base", "a query that groups")
def _():
    text = "select check_id, count(*) as number, sum(amount_at_risk) as total from recon.exceptions group by check_id order by check_id"
    same(ask(text, 1, 2, 3), rows(row_set(COMMAND, text), 1, 2, 3))


base.close()
connection.close()
done()
