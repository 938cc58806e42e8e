"""pgAdmin: the application itself with settings of its own, asked as its pages ask it."""

import csv
import io
import itertools
import json
import pathlib
import re
import sys
import tempfile
import time
import types
import warnings

import psycopg
import psycopg.types.numeric

from cases import DATABASE, DSN, EXCEPTIONS, HOST, PASSWORD, PORT, USER, case, done, same

HOME = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
SETTINGS = {
    "SERVER_MODE": False,
    "DATA_DIR": HOME.name,
    "LOG_FILE": f"{HOME.name}/log.txt",
    "SQLITE_PATH": f"{HOME.name}/pgadmin4.db",
    "SESSION_DB_PATH": f"{HOME.name}/sessions",
    "STORAGE_DIR": f"{HOME.name}/storage",
    "AZURE_CREDENTIAL_CACHE_DIR": f"{HOME.name}/azure",
    "KERBEROS_CCACHE_DIR": f"{HOME.name}/kerberos",
    "MASTER_PASSWORD_REQUIRED": False,
    "USE_OS_SECRET_STORAGE": False,
    "UPGRADE_CHECK_ENABLED": False,
    "CONSOLE_LOG_LEVEL": 60,
}
# What it reads beside its own config.py.
sys.modules["config_local"] = types.ModuleType("config_local")
vars(sys.modules["config_local"]).update(SETTINGS)
warnings.simplefilter("ignore")
import pgadmin4

sys.path.insert(0, str(pathlib.Path(pgadmin4.__path__[0])))
import pgAdmin4

pages = pgAdmin4.app.test_client()
# What every page sends with every request.
pages.environ_base["HTTP_X_PGA_CSRFTOKEN"] = re.search(r"pgAdmin\['csrf_token'\] = '([^']+)'", pages.get("/browser/js/utils.js").get_data(as_text=True))[1]

plain = psycopg.connect(DSN, autocommit=True)


# pgAdmin has psycopg give whole numbers as text, wherever; here they are numbers.
plain.adapters.register_loader("int8", psycopg.types.numeric.IntLoader)


def ask(text, *values):
    return plain.execute(text, values or None).fetchall()


def call(method, path, body=None):
    """The status and the document that pgAdmin answers."""
    answer = pages.open(path, method=method, data=None if body is None else json.dumps(body), content_type="application/json")
    return answer.status_code, answer.get_json()


def works(method, path, body=None):
    status, told = call(method, path, body)
    assert status == 200, (path, status, told)
    return told


class Tree:
    """The objects below an object, by their names; asked once."""

    def __init__(self):
        self.known = {}

    def __call__(self, kind, path):
        if (kind, path) not in self.known:
            self.known[kind, path] = {node["label"]: node["_id"] for node in works("GET", f"/browser/{kind}/nodes/{path}/")["data"]}
        return self.known[kind, path]


below = Tree()


def pane(kind, which, path):
    """A pane for one object; the statistics as pairs."""
    told = works("GET", f"/browser/{kind}/{which}/{path}")
    if which != "stats":
        return told
    columns = [column["name"] for column in told["data"]["columns"]]
    return [dict(zip(columns, row.values() if isinstance(row, dict) else row)) for row in told["data"]["rows"]]


server = works(
    "POST",
    "/browser/server/obj/1/",
    {"name": "tieout", "host": HOST, "port": PORT, "db": DATABASE, "username": USER, "connection_params": {"sslmode": "prefer", "connect_timeout": 60}, "kerberos_conn": False, "shared": False},
)["node"]["_id"]
AT = f"1/{server}"


@case("pgadmin", "a wrong password is refused, the right one connects")
def _():
    status, told = call("POST", f"/browser/server/connect/{AT}", {"password": "no", "save_password": False})
    assert status == 401 and "password" in json.dumps(told), (status, told)
    told = works("POST", f"/browser/server/connect/{AT}", {"password": PASSWORD, "save_password": False})["data"]
    same((True, USER, False, None), (told["connected"], told["user"]["name"], told["user"]["is_superuser"], told["replication_type"]))


@case("pgadmin", "the server stays connected when its page looks again")
def _():
    for _ in range(2):
        told = works("GET", f"/browser/server/connect/{AT}")["data"]
        same((True, False, None), (told["connected"], told["in_recovery"], told["errmsg"]))


@case("pgadmin", "what is below a server")
def _():
    assert {"Databases", "Login/Group Roles"} <= {node["label"] for node in works("GET", f"/browser/server/children/{AT}")["data"]}


@case("pgadmin", "a server's statistics: who is connected")
def _():
    assert USER in {row["User"] for row in pane("server", "stats", AT)}


database = below("database", AT)[DATABASE]
works("POST", f"/browser/database/connect/{AT}/{database}")
IN = f"{AT}/{database}"


def schema(name):
    return f"{IN}/{below('schema', IN)[name]}"


def table(name):
    """Where a table is, as pgAdmin names it."""
    place, name = name.split(".")
    return f"{schema(place)}/{below('table', schema(place))[name]}"


def view(name):
    place, name = name.split(".")
    return f"{schema(place)}/{below('view', schema(place))[name]}"


def columns(name):
    return [row[0] for row in ask("select column_name from information_schema.columns where table_schema = %s and table_name = %s order by ordinal_position", *name.split("."))]


@case("pgadmin", "databases, a database's properties and its statement")
def _():
    assert DATABASE in {row["name"] for row in works("GET", f"/browser/database/obj/{AT}/")}
    told = pane("database", "obj", IN)
    same((DATABASE, "UTF8", True), (told["name"], told["encoding"], told["datallowconn"]))
    assert f"CREATE DATABASE {DATABASE}" in pane("database", "sql", IN)
    assert "Schemas" in {node["label"] for node in works("GET", f"/browser/database/children/{IN}")["data"]}


@case("pgadmin", "a database's statistics, dependencies, dependents")
def _():
    assert DATABASE in {row["Database"] for row in pane("database", "stats", f"{AT}/")}
    (row,) = pane("database", "stats", IN)
    assert int(row["Backends"]) >= 1, row
    same([list, list], [type(pane("database", which, IN)) for which in ("dependency", "dependent")])


@case("pgadmin", "encodings, collations and databases that its dialogs offer")
def _():
    assert "UTF8" in {row["value"] for row in works("GET", f"/browser/database/get_encodings/{AT}/")["data"]}
    assert works("GET", f"/browser/database/get_ctypes/{AT}/")["data"]
    assert DATABASE in {row["label"] for row in works("GET", f"/sqleditor/new_connection_database/{AT}")["data"]["result"]["data"]}
    for what in ("user", "role"):
        assert USER in {row["label"] for row in works("GET", f"/sqleditor/new_connection_{what}/{AT}")["data"]["result"]["data"]}


@case("pgadmin", "schemas, a schema's properties, statement, panes")
def _():
    same({"recon", "procore", "acumatica", "pm"}, {"recon", "procore", "acumatica", "pm"} & set(below("schema", IN)))
    assert "information_schema" not in below("schema", IN), below("schema", IN)
    assert "recon" in {row["name"] for row in works("GET", f"/browser/schema/obj/{IN}/")}
    same("recon", pane("schema", "obj", schema("recon"))["name"])
    assert "CREATE SCHEMA IF NOT EXISTS recon" in pane("schema", "sql", schema("recon"))
    assert {"Tables", "Views"} <= {node["label"] for node in works("GET", f"/browser/schema/children/{schema('recon')}")["data"]}
    same([list, list], [type(pane("schema", which, schema("recon"))) for which in ("dependency", "dependent")])


@case("pgadmin", "catalogs: information_schema with its views and their columns, pg_catalog with its tables")
def _():
    found = below("catalog", IN)
    same({"ANSI (information_schema)", "PostgreSQL Catalog (pg_catalog)"}, set(found))
    ansi, catalog = (f"{IN}/{found[name]}" for name in ("ANSI (information_schema)", "PostgreSQL Catalog (pg_catalog)"))
    assert {"tables", "columns"} <= set(below("catalog_object", ansi))
    tables = f"{ansi}/{below('catalog_object', ansi)['tables']}"
    assert "table_name" in below("catalog_object_column", tables)
    assert "pg_class" in below("table", catalog) and "pg_settings" in below("view", catalog)
    same("pg_class", pane("table", "obj", f"{catalog}/{below('table', catalog)['pg_class']}")["name"])


for kind in ("aggregate", "collation", "domain", "foreign_table", "fts_configuration", "fts_dictionary", "fts_parser", "fts_template", "function", "mview", "operator", "procedure", "sequence", "trigger_function", "type"):

    @case("pgadmin", f"a schema's objects that are not there: {kind}")
    def _():
        same(({}, []), (below(kind, schema("procore")), works("GET", f"/browser/{kind}/obj/{schema('procore')}/")))


for kind in ("cast", "event_trigger", "extension", "foreign_data_wrapper", "language", "publication"):

    @case("pgadmin", f"a database's objects of other kinds: {kind}")
    def _():
        same(len(below(kind, IN)), len(works("GET", f"/browser/{kind}/obj/{IN}/")))


@case("pgadmin", "a database's subscriptions")
def _():
    same({}, below("subscription", IN))


@case("pgadmin", "tables, and their properties and statistics as a list")
def _():
    found = {row[0] for row in ask("select table_name from information_schema.tables where table_schema = 'procore' and table_type = 'BASE TABLE'")}
    same(found, set(below("table", schema("procore"))))
    same(found, {row["name"] for row in works("GET", f"/browser/table/obj/{schema('procore')}/")})
    same(found, {row["Table name"] for row in pane("table", "stats", f"{schema('procore')}/")})


@case("pgadmin", "a table's properties")
def _():
    told = pane("table", "obj", table("procore.vendors"))
    same(("vendors", "procore", "vendors_pkey"), (told["name"], told["schema"], told["conname"]))
    same(columns("procore.vendors"), [column["name"] for column in told["columns"]])
    same([["_key"]], [[column["column"] for column in key["columns"]] for key in told["primary_key"]])
    same([["id"]], [[column["column"] for column in key["columns"]] for key in told["unique_constraint"]])
    same(ask("select obj_description('procore.vendors'::regclass, 'pg_class')")[0][0], told["description"])


@case("pgadmin", "a table's statement names its columns and constraints")
def _():
    told = pane("table", "sql", table("procore.vendors"))
    assert "CREATE TABLE IF NOT EXISTS procore.vendors" in told and "CONSTRAINT vendors_pkey PRIMARY KEY (_key)" in told and "CONSTRAINT vendors_id_key UNIQUE (id)" in told, told
    same([], [name for name in columns("procore.vendors") if not re.search(rf'^ +"?{name}"? ', told, re.M)])


@case("pgadmin", "a table's scripts and its count of rows")
def _():
    at = table("procore.vendors")
    told = pane("table", "select_sql", at)
    same(columns("procore.vendors"), re.findall(r"\w+", told[: told.index("FROM")])[1:])
    for which, word in (("insert_sql", "INSERT INTO procore.vendors"), ("update_sql", "UPDATE procore.vendors"), ("delete_sql", "DELETE FROM procore.vendors")):
        assert word in pane("table", which, at)
    same(ask("select count(*) from procore.vendors")[0][0], int(pane("table", "count_rows", at)["data"]["total_rows"]))


@case("pgadmin", "a table's statistics, dependencies, dependents")
def _():
    at = table("procore.vendors")
    (row,) = pane("table", "stats", at)
    assert {"Sequential scans", "Table size", "Indexes size"} <= set(row), row
    assert ("schema", "procore") in {(row["type"], row["name"]) for row in pane("table", "dependency", at)}, pane("table", "dependency", at)
    assert ("primary_key", "vendors_pkey") in {(row["type"], row["name"].split(".")[-1]) for row in pane("table", "dependent", at)}, pane("table", "dependent", at)


@case("pgadmin", "what a table's dialogs offer: types, tables, access methods, storage settings")
def _():
    at = f"{schema('procore')}/"
    assert {"text", "bigint", "numeric", "timestamp with time zone"} <= {row["label"] for row in works("GET", f"/browser/table/get_types/{at}")["data"]}
    for what in ("get_relations", "get_inherits", "get_table_access_methods"):
        assert works("GET", f"/browser/table/{what}/{at}")["data"], what
    for what in ("get_oftype", "get_table_vacuum", "get_toast_table_vacuum"):
        works("GET", f"/browser/table/{what}/{at}")


@case("pgadmin", "a table's columns, a column's properties, statement, panes")
def _():
    at = table("procore.vendors")
    same(columns("procore.vendors"), list(below("column", at)))
    same(columns("procore.vendors"), [row["name"] for row in works("GET", f"/browser/column/obj/{at}/")])
    key = f"{at}/{below('column', at)['_key']}"
    told = pane("column", "obj", key)
    same(("_key", "text", True, True), (told["name"], told["cltype"], told["attnotnull"], told["is_pk"]))
    assert re.search(r"ADD COLUMN _key text.* NOT NULL", pane("column", "sql", key)), pane("column", "sql", key)
    assert pane("column", "stats", key) is not None
    same([list, list], [type(pane("column", which, key)) for which in ("dependency", "dependent")])


@case("pgadmin", "a table's constraints")
def _():
    at = table("acumatica.bill_lines")
    found = {row[0] for row in ask("select conname from pg_constraint where conrelid = 'acumatica.bill_lines'::regclass and contype in ('p', 'u', 'f')")}
    same(found, {node["label"] for node in works("GET", f"/browser/constraints/nodes/{at}/")["data"]})
    same(found, {row["name"] for row in works("GET", f"/browser/constraints/obj/{at}/")})


for kind, letter, wanted in (("primary_key", "p", "PRIMARY KEY (_key)"), ("unique_constraint", "u", "UNIQUE (type, reference_nbr, ")):

    @case("pgadmin", f"a constraint with an index: {kind}")
    def _():
        at = table("acumatica.bill_lines")
        ((name,),) = ask("select conname from pg_constraint where conrelid = 'acumatica.bill_lines'::regclass and contype = %s", letter)
        same([name], list(below(kind, at)))
        same([name], [row["name"] for row in works("GET", f"/browser/{kind}/obj/{at}/")])
        at = f"{at}/{below(kind, at)[name]}"
        same(wanted.partition("(")[2].rstrip(", )"), ", ".join(column["column"] for column in pane(kind, "obj", at)["columns"] if column["column"] in wanted))
        assert f"ADD CONSTRAINT {name} {wanted}" in pane(kind, "sql", at), pane(kind, "sql", at)
        (row,) = pane(kind, "stats", at)
        assert "Index scans" in row, row
        same([list, list], [type(pane(kind, which, at)) for which in ("dependency", "dependent")])


@case("pgadmin", "a foreign key's properties, statement, panes")
def _():
    at = table("acumatica.bill_lines")
    ((name,),) = ask("select conname from pg_constraint where conrelid = 'acumatica.bill_lines'::regclass and contype = 'f'")
    same([name], list(below("foreign_key", at)))
    at = f"{at}/{below('foreign_key', at)[name]}"
    told = pane("foreign_key", "obj", at)
    same((name, "acumatica", "bills"), (told["name"], told["refnsp"], told["reftab"]))
    # pgAdmin asks for the columns in a union without an order.
    pairs = sorted((c["local_column"], c["referenced"], c["references_table_name"]) for c in told["columns"])
    same([("reference_nbr", "reference_nbr", "acumatica.bills"), ("type", "type", "acumatica.bills")], pairs)
    told = pane("foreign_key", "sql", at)
    either = [f"ADD CONSTRAINT {name} FOREIGN KEY ({columns})\n    REFERENCES acumatica.bills ({columns})" for columns in ("type, reference_nbr", "reference_nbr, type")]
    assert any(text in told for text in either), told
    assert "acumatica.bills.reference_nbr" in {row["name"] for row in pane("foreign_key", "dependency", at)}, pane("foreign_key", "dependency", at)
    same([], pane("foreign_key", "dependent", at))


@case("pgadmin", "a table's indexes, rules, triggers, checks, policies, partitions")
def _():
    at = table("procore.vendors")
    for kind in ("index", "rule", "trigger", "exclusion_constraint", "row_security_policy", "partition"):
        same(({}, []), (below(kind, at), works("GET", f"/browser/{kind}/obj/{at}/")))
    same([], works("GET", f"/browser/check_constraint/obj/{at}/"))


@case("pgadmin", "an index's properties, statement, statistics")
def _():
    found = ask(
        """select nspname, indrelid::text, relname, indexrelid::text, attname, indrelid::regclass::text from pg_index join pg_class on pg_class.oid = indexrelid join pg_namespace on pg_namespace.oid = relnamespace
           join pg_attribute on attrelid = indrelid and attnum = indkey[0]
           where nspname in ('recon', 'procore') and not exists (select from pg_constraint where conindid = indexrelid) order by relname"""
    )
    if not found:
        return "no index but those of constraints"
    place, of, name, number, first, table_name = found[0]
    at = f"{schema(place)}/{of}"
    assert name in below("index", at), below("index", at)
    at = f"{at}/{number}"
    told = pane("index", "obj", at)
    same((name, "btree", first), (told["name"], told["amname"], told["columns"][0]["colname"]))
    assert re.search(rf"INDEX IF NOT EXISTS {name}\n    ON {re.escape(table_name)} USING btree\n    \({first} ", pane("index", "sql", at)), pane("index", "sql", at)
    (row,) = pane("index", "stats", at)
    assert "Index scans" in row, row
    same([list, list], [type(pane("index", which, at)) for which in ("dependency", "dependent")])


@case("pgadmin", "views")
def _():
    found = {row[0] for row in ask("select table_name from information_schema.views where table_schema = 'recon'")}
    same(found, set(below("view", schema("recon"))))
    same(found, {row["name"] for row in works("GET", f"/browser/view/obj/{schema('recon')}/")})


@case("pgadmin", "a view's properties, statement, scripts")
def _():
    at = view("recon.exceptions")
    told = pane("view", "obj", at)
    same(("exceptions", "recon", "v"), (told["name"], told["schema"], told["relkind"]))
    same(ask("select obj_description('recon.exceptions'::regclass, 'pg_class')")[0][0], told["comment"])
    assert "select" in told["definition"].lower(), told
    text = pane("view", "sql", at)
    assert "CREATE OR REPLACE VIEW recon.exceptions\n" in text and told["definition"].strip().rstrip(";") in text, text
    told = pane("view", "select_sql", at)
    same(columns("recon.exceptions"), re.findall(r"\w+", told[: told.index("FROM")])[1:])
    assert "INSERT INTO recon.exceptions" in pane("view", "insert_sql", at)


@case("pgadmin", "a view's columns, a column's properties, rules, triggers")
def _():
    at = view("recon.exceptions")
    same(columns("recon.exceptions"), list(below("column", at)))
    amount = f"{at}/{below('column', at)['amount_at_risk']}"
    told = pane("column", "obj", amount)
    same(("amount_at_risk", "numeric", "18", "2"), (told["name"], told["cltype"], str(told["attlen"]), str(told["attprecision"])))
    same("the check that found it", pane("column", "obj", f"{at}/{below('column', at)['check_id']}")["description"])
    assert "ADD COLUMN amount_at_risk numeric(18,2)" in pane("column", "sql", amount)
    same(["_RETURN"], list(below("rule", at)))
    same(({}, []), (below("trigger", at), works("GET", f"/browser/trigger/obj/{at}/")))


@case("pgadmin", "a view's dependencies and dependents")
def _():
    at = view("recon.exceptions")
    assert ("schema", "recon") in {(row["type"], row["name"]) for row in pane("view", "dependency", at)}, pane("view", "dependency", at)
    assert ("rule", "_RETURN ON recon.exceptions") in {(row["type"], row["name"]) for row in pane("view", "dependent", at)}, pane("view", "dependent", at)


@case("pgadmin", "roles, a role's properties, statement, panes")
def _():
    assert USER in {row["rolname"] for row in works("GET", f"/browser/role/obj/{AT}/")}
    at = f"{AT}/{below('role', AT)[USER]}"
    told = pane("role", "obj", at)
    same((USER, True, False), (told["rolname"], told["rolcanlogin"], told["rolsuper"]))
    assert re.search(rf"CREATE ROLE {USER} WITH\s+LOGIN\s+NOSUPERUSER", pane("role", "sql", at)), pane("role", "sql", at)
    same([list, list], [type(pane("role", which, at)) for which in ("dependency", "dependent")])


@case("pgadmin", "tablespaces")
def _():
    for name, number in below("tablespace", AT).items():
        same(name, pane("tablespace", "obj", f"{AT}/{number}")["name"])
        assert f"TABLESPACE {name}" in pane("tablespace", "sql", f"{AT}/{number}")


GRAPHS = ["session_stats", "tps_stats", "ti_stats", "to_stats", "bio_stats"]

for title, at in (("a server", f"{server}"), ("a database", f"{server}/{database}")):

    @case("pgadmin", f"the dashboard of {title}: graphs")
    def _():
        told = works("GET", f"/dashboard/dashboard_stats/{at}?chart_names={','.join(GRAPHS)}")
        same(set(GRAPHS), set(told))
        assert int(told["session_stats"]["Total"]) >= 1 and int(told["session_stats"]["Active"]) >= 1, told

    @case("pgadmin", f"the dashboard of {title}: who is connected and what is running")
    def _():
        rows = works("GET", f"/dashboard/activity/{at}")[0]["activity"]
        assert [row for row in rows if row["usename"] == USER and row["datname"] == DATABASE and "pga4dash" in (row["query"] or "") and row["state"] == "active"], rows
        assert all(isinstance(row["pid"], int) for row in rows), rows

    @case("pgadmin", f"the dashboard of {title}: locks, prepared transactions")
    def _():
        same(list, type(works("GET", f"/dashboard/locks/{at}")))
        same([], works("GET", f"/dashboard/prepared/{at}"))


@case("pgadmin", "the dashboard: settings, replication, what it looks for")
def _():
    settings = {row["name"]: row["setting"] for row in works("GET", f"/dashboard/config/{server}")}
    same(ask("show server_version")[0][0], settings["server_version"])
    same([], works("GET", f"/dashboard/replication_slots/{server}"))
    same([], works("GET", f"/dashboard/replication_stats/{server}"))
    same(False, works("GET", f"/dashboard/check_extension/system_statistics/{server}")["ss_present"])


numbers = itertools.count(1000)


class Tool:
    """A query tool of its own."""

    def __init__(self):
        self.number = next(numbers)
        works("POST", f"/sqleditor/initialize/sqleditor/{self.number}/{IN}", {"dbname": DATABASE})

    def start(self, text, **plan):
        works("POST", f"/sqleditor/query_tool/start/{self.number}", {"sql": text, "explain_plan": plan or None})

    def wait(self, seconds=120):
        """The status and the document of what was started."""
        for _ in range(seconds * 10):
            status, told = call("GET", f"/sqleditor/poll/{self.number}")
            if status != 200 or told["data"]["status"] != "Busy":
                return status, told
            time.sleep(0.1)
        raise AssertionError("the query does not end")

    def rows(self, text=None, **plan):
        if text is not None:
            self.start(text, **plan)
        status, told = self.wait()
        assert status == 200 and told["data"]["status"] == "Success", (text, status, told)
        self.told = told["data"]
        return self.told["result"]

    def fails(self, text):
        self.start(text)
        status, told = self.wait()
        assert status == 500, (text, status, told)
        return told["errormsg"]

    def close(self):
        works("DELETE", f"/sqleditor/close/{self.number}")


def shown(rows):
    """Values as text, to compare what two clients read."""
    return [[None if value is None else str(value) for value in row] for row in rows]


tool = Tool()


@case("pgadmin", "the query tool: rows and their columns")
def _():
    names = "check_id, exception_key, severity, amount_at_risk"
    found = tool.rows(f"select {names} from recon.exceptions order by check_id, exception_key")
    same(shown(ask(f"select {names} from recon.exceptions order by check_id, exception_key")), shown(found))
    same([(name, kind) for name, kind in zip(names.split(", "), ("text", "text", "text", "numeric"))], [(c["name"], next(t["typname"] for t in tool.told["types"] if t["oid"] == c["type_code"])) for c in tool.told["colinfo"]])
    assert tool.told["primary_keys"] is None, tool.told


@case("pgadmin", "the query tool: values of every type")
def _():
    (row,) = tool.rows(
        """select date '2024-02-29', timestamptz '2024-02-29 12:30:00+00', null::text, true, 'it''s "q" żółć 漢'::text, 9007199254740993::bigint,
           123456789012345678901234567890.12345678::numeric(38, 8), 1.25::numeric(18, 2), 0.1::double precision, array['a', 'b'], interval '1 day 02:00'"""
    )
    same(["2024-02-29", "2024-02-29 12:30:00+00", None, True, 'it\'s "q" żółć 漢', "9007199254740993", "123456789012345678901234567890.12345678", "1.25", "0.1", "{a,b}", "1 day 02:00:00"], [value if value is None or value is True else str(value) for value in row])


@case("pgadmin", "the query tool: whole numbers")
def _():
    # A literal is a bigint here, and pgAdmin shows those as text.
    same([[1, "1", "1"]], tool.rows("select 1::integer, 1::bigint, 1"))


@case("pgadmin", "the query tool: columns of the same name")
def _():
    same([["x", "y"]], tool.rows("select 'x' as a, 'y' as a"))
    same(["a", "a"], [column["display_name"] for column in tool.told["colinfo"]])


@case("pgadmin", "the query tool: the next rows, all rows")
def _():
    same(1000, len(tool.rows("select g from generate_series(1, 2500) g order by g")))
    same((2500, 3), (tool.told["rows_affected"], tool.told["pagination"]["page_count"]))
    for begin, end in ((1001, 2000), (2001, 2500), (1, 1000)):
        same(list(range(begin, end + 1)), [int(row[0]) for row in works("GET", f"/sqleditor/fetch_window/{tool.number}/{begin}/{end}")["data"]["result"]])
    same(list(range(1, 2501)), [int(row[0]) for row in works("GET", f"/sqleditor/fetch_all_from_start/{tool.number}/2500")["data"]["result"]])


@case("pgadmin", "the query tool: with a cursor of the server")
def _():
    other = Tool()
    works("POST", f"/sqleditor/server_cursor/{other.number}", True)
    same(1000, len(other.rows("select g from generate_series(1, 2500) g order by g")))
    same(list(range(1001, 2001)), [int(row[0]) for row in works("GET", f"/sqleditor/fetch_window/{other.number}/1001/2000")["data"]["result"]])
    other.close()


@case("pgadmin", "the query tool: an error, its code and its position")
def _():
    for text, code, position in (("select nope from recon.exceptions", "42703", 8), ("select 1\nfrom recon.nope", "42P01", 15), ("selec 1", "42601", 1), ("select nope(1)", "42883", 8)):
        told = tool.fails(text)
        assert told.startswith("ERROR:") and f"SQL state: {code}" in told and re.search(rf"Character: {position}$", told, re.M), (text, told)
    same([["x"]], tool.rows("select 'x'"))


@case("pgadmin", "the query tool: a write is refused")
def _():
    for text in ("insert into procore.vendors (_key) values ('x')", "update procore.vendors set name = 'x'", "delete from procore.vendors", "create table recon.x (a int)", "drop view recon.exceptions"):
        told = tool.fails(text)
        assert "SQL state: 25006" in told, (text, told)


@case("pgadmin", "the query tool: several statements, a transaction, a setting, a message without rows")
def _():
    same([["y"]], tool.rows("select 'x'; select 'y'"))
    assert tool.rows("begin") and works("GET", f"/sqleditor/status/{tool.number}")["data"]["status"] == 2
    same([["x"]], tool.rows("select 'x'"))
    tool.rows("rollback")
    same(0, works("GET", f"/sqleditor/status/{tool.number}")["data"]["status"])
    same("SET", tool.rows("set search_path to recon").strip())
    same(ask("select count(*) from recon.exceptions")[0][0], tool.rows("select count(*)::int from exceptions")[0][0])
    tool.rows("reset search_path")


@case("pgadmin", "the query tool: no automatic commit")
def _():
    other = Tool()
    works("POST", f"/sqleditor/auto_commit/{other.number}", False)
    same([["x"]], other.rows("select 'x'"))
    same(2, works("GET", f"/sqleditor/status/{other.number}")["data"]["status"])
    other.rows("COMMIT;")
    same(0, works("GET", f"/sqleditor/status/{other.number}")["data"]["status"])
    other.close()


@case("pgadmin", "the query tool: a running query is cancelled, the next one runs")
def _():
    tool.start("select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a.a + b.b = 3")
    time.sleep(2)
    same("Busy", works("GET", f"/sqleditor/poll/{tool.number}")["data"]["status"])
    told = works("POST", f"/sqleditor/cancel/{tool.number}")
    same(True, told["data"]["status"])
    status, told = tool.wait(60)
    assert (status == 200 and told["data"]["status"] == "Cancel") or (status == 500 and "SQL state: 57014" in told["errormsg"]), (status, told)
    same([["x"]], tool.rows("select 'x'"))


@case("pgadmin", "the dashboard ends another's query")
def _():
    other = Tool()
    other.start("select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a.a + b.b = 4")
    for _ in range(50):
        found = [row["pid"] for row in works("GET", f"/dashboard/activity/{server}/{database}")[0]["activity"] if "= 4" in (row["query"] or "") and row["state"] == "active"]
        if found:
            break
        time.sleep(0.2)
    (pid,) = found
    works("DELETE", f"/dashboard/cancel_query/{server}/{database}/{pid}")
    status, told = other.wait(60)
    assert (status == 200 and told["data"]["status"] == "Cancel") or "SQL state: 57014" in told["errormsg"], (status, told)
    other.close()


@case("pgadmin", "the query tool: a plan, and one with what it took")
def _():
    for analyze in (False, True):
        options = ", ".join(("FORMAT JSON", f"ANALYZE {analyze}", "VERBOSE True", "COSTS True", f"BUFFERS {analyze}", f"TIMING {analyze}", "SUMMARY True", "SETTINGS False", "WAL False"))
        ((plan,),) = tool.rows(f"EXPLAIN ({options}) select * from recon.exceptions order by check_id")
        (plan,) = json.loads(plan) if isinstance(plan, str) else plan
        assert "Node Type" in plan["Plan"] and ("Actual Rows" in plan["Plan"]) == analyze, plan


@case("pgadmin", "the query tool: what it offers while one writes")
def _():
    def offered(text, before=None):
        return set(works("POST", f"/sqleditor/autocomplete/{tool.number}", [text, text if before is None else before])["data"]["result"])

    assert {"recon", "procore"} <= offered("select * from ")
    assert {"exceptions", "summary"} <= offered("select * from recon.")
    assert set(columns("recon.exceptions")) <= offered("select  from recon.exceptions", "select ")
    assert set(columns("recon.exceptions")) <= offered("select e. from recon.exceptions e", "select e.")


@case("pgadmin", "a result as CSV")
def _():
    names = "check_id, exception_key, severity, amount_at_risk"
    text = f"select {names} from recon.exceptions order by check_id, exception_key"
    tool.rows(text)
    for committed in (False, True):
        answer = pages.post(f"/sqleditor/query_tool/download/{tool.number}", data=json.dumps({"query": text, "filename": "exceptions.csv", "query_commited": committed}), content_type="application/json")
        same((200, "attachment;filename=exceptions.csv"), (answer.status_code, answer.headers["Content-Disposition"]))
        found = list(csv.reader(io.StringIO(answer.get_data(as_text=True))))
        same(names.split(", "), found[0])
        same([[value or "" for value in row] for row in shown(ask(text))], found[1:])


def data(kind, command, of, **conditions):
    """What "View/Edit data" opens: 1 the first 100, 2 the last 100, 3 all, 4 filtered."""
    opened = Tool.__new__(Tool)
    opened.number = next(numbers)
    works("POST", f"/sqleditor/initialize/viewdata/{opened.number}/{command}/{kind}/{IN}/{of.rsplit('/', 1)[1]}", {"sql_filter": None, "server_cursor": None, "dbname": DATABASE} | conditions)
    opened.begun = works("GET", f"/sqleditor/view_data/start/{opened.number}")["data"]
    return opened


for command, count in ((1, "least(count(*), 100)"), (2, "least(count(*), 100)"), (3, "count(*)")):

    @case("pgadmin", f"View/Edit data of a view, command {command}")
    def _():
        opened = data("view", command, view("recon.exceptions"))
        same((False, True), (opened.begun["can_edit"], opened.begun["can_filter"]))
        same(ask(f"select {count} from recon.exceptions")[0][0], len(opened.rows()))
        same(columns("recon.exceptions"), [column["name"] for column in opened.told["colinfo"]])
        same("exceptions", works("GET", f"/sqleditor/object/get/{opened.number}")["data"]["result"])
        same(columns("recon.exceptions"), works("GET", f"/sqleditor/filter_dialog/{opened.number}")["data"]["result"]["column_list"])
        opened.close()


@case("pgadmin", "View/Edit data of a view: a filter, what a cell includes and excludes, an order, a limit")
def _():
    at = view("recon.exceptions")
    check = ask(EXCEPTIONS)[0][columns("recon.exceptions").index("check_id")]
    same(True, works("POST", f"/sqleditor/filter/validate/{server}/{database}/{at.rsplit('/', 1)[1]}", {"filter_sql": f"check_id = '{check}'"})["data"]["status"])
    status, told = call("POST", f"/sqleditor/filter/validate/{server}/{database}/{at.rsplit('/', 1)[1]}", {"filter_sql": "nope = 1"})
    assert status == 500 and "nope" in told["errormsg"], (status, told)
    opened = data("view", 4, at, sql_filter=f"check_id = '{check}'")
    same(ask("select count(*) from recon.exceptions where check_id = %s", check)[0][0], len(opened.rows()))
    opened.close()
    for which, sign in (("inclusive", "="), ("exclusive", "is distinct from")):
        opened = data("view", 3, at)
        opened.rows()
        works("POST", f"/sqleditor/filter/{which}/{opened.number}", {"check_id": check})
        works("GET", f"/sqleditor/view_data/start/{opened.number}")
        same(ask(f"select count(*) from recon.exceptions where check_id {sign} %s", check)[0][0], len(opened.rows()))
        opened.close()
    opened = data("view", 3, at)
    opened.rows()
    works("PUT", f"/sqleditor/filter_dialog/{opened.number}", {"sql": "", "data_sorting": [{"name": "check_id", "order": "desc"}, {"name": "exception_key", "order": "asc"}]})
    works("POST", f"/sqleditor/limit/{opened.number}", 1)
    works("GET", f"/sqleditor/view_data/start/{opened.number}")
    same(1, len(opened.rows()))
    works("POST", f"/sqleditor/limit/{opened.number}", -1)
    works("GET", f"/sqleditor/view_data/start/{opened.number}")
    place = [columns("recon.exceptions").index(name) for name in ("check_id", "exception_key")]
    same([list(row) for row in ask("select check_id, exception_key from recon.exceptions order by check_id desc, exception_key")], [[row[index] for index in place] for row in opened.rows()])
    opened.close()


@case("pgadmin", "View/Edit data of a table: its key is known, a change is refused")
def _():
    opened = data("table", 3, table("procore.vendors"))
    rows = opened.rows()
    same((ask("select count(*) from procore.vendors")[0][0], {"_key": "text"}), (len(rows), opened.told["primary_keys"]))
    key = rows[0][0]
    changed = {"1": {"err": False, "data": {"name": "other"}, "primary_keys": {"_key": key}}}
    told = works("POST", f"/sqleditor/save/{opened.number}", {"updated": changed, "added": {}, "staged_rows": {}, "deleted": {}, "updated_index": {}, "added_index": {}, "columns": opened.told["colinfo"]})["data"]
    assert told["status"] is False and "read" in str(told["result"]) and "only" in str(told["result"]), told
    opened.close()


@case("pgadmin", "a search for objects")
def _():
    assert {"table", "view", "column"} <= set(works("GET", f"/search_objects/types/{server}/{database}")["data"])
    found = {(row["type"], row["name"]) for row in works("GET", f"/search_objects/search/{server}/{database}?text=vendors&type=all&show_system_objects=false")["data"]}
    assert {("table", "vendors"), ("view", "vendors"), ("primary_key", "vendors_pkey")} <= found, found
    found = {(row["type"], row["name"]) for row in works("GET", f"/search_objects/search/{server}/{database}?text=exceptions&type=view&show_system_objects=false")["data"]}
    assert ("view", "exceptions") in found, found


@case("pgadmin", "a diagram of a schema's tables")
def _():
    number = next(numbers)
    works("POST", f"/erd/initialize/{number}/{IN}", {"user": None, "role": None})
    told = works("GET", f"/erd/prequisite/{number}/{IN}")["data"]
    assert "text" in {row["label"] for row in told["col_types"]} and "acumatica" in {row["name"] for row in told["schemas"]}, told
    works("DELETE", f"/erd/close/{number}/{IN}")


@case("pgadmin", "what a backup offers, and what a comparison of schemas begins with")
def _():
    offered = {node["name"]: node for node in works("GET", f"/backup/objects/{server}/{database}")["data"]}
    assert {"vendors"} <= {node["name"] for group in offered["procore"]["children"] for node in group["children"]}, offered["procore"]
    assert {"exceptions"} <= {node["name"] for group in offered["recon"]["children"] for node in group["children"]}, offered["recon"]
    assert DATABASE in {row["label"] for row in works("GET", f"/schema_diff/databases/{server}")["data"]}
    assert {"recon", "procore"} <= {row["label"] for row in works("GET", f"/schema_diff/schemas/{server}/{database}")["data"]}


@case("pgadmin", "the query tool is closed, the server disconnected")
def _():
    tool.close()
    works("DELETE", f"/browser/database/connect/{AT}/{database}")
    same(False, works("DELETE", f"/browser/server/connect/{AT}")["data"]["connected"])
    same(False, works("GET", f"/browser/server/connect/{AT}")["data"]["connected"])


done()
