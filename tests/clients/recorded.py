"""What BI tools send when they start and when they look around, as recorded; each also reworded and about another table.

A statement that works only as it was recorded would be matched by its text: the second wording shows that it is not.
"""

import psycopg

from cases import DSN, case, done, same

connection = psycopg.connect(DSN, autocommit=True)


def ask(text):
    return connection.execute(text).fetchall()


def both(name, recorded, reworded, look):
    """The recorded statement and its rewording, each looked at."""

    @case("recorded", name)
    def _():
        look(ask(recorded))

    @case("recorded", name + ", reworded")
    def _():
        look(ask(reworded))


NPGSQL = """
SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid
FROM (
    -- Arrays have typtype=b - this subquery identifies them by their typreceive and converts their typtype to a
    SELECT
        typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind,
        elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind,
        CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype
    FROM (
        SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid,
            CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype,
            CASE
                WHEN proc.proname='array_recv' THEN typ.typelem
                WHEN typ.typtype='r' THEN rngsubtype
                WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid)
                WHEN typ.typtype='d' THEN typ.typbasetype
            END AS elemtypoid
        FROM pg_type AS typ
        LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
        LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive
        LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)
    ) AS typ
    LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid
    LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid)
    LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive
) AS t
JOIN pg_namespace AS ns ON (ns.oid = typnamespace)
WHERE
    typtype IN ('b', 'r', 'm', 'e', 'd') OR
    (typtype = 'c' AND relkind='c') OR
    (typtype = 'p' AND typname IN ('record', 'void')) OR
    (typtype = 'a' AND (
        elemtyptype IN ('b', 'r', 'm', 'e', 'd') OR
        (elemtyptype = 'p' AND elemtypname IN ('record', 'void')) OR
        (elemtyptype = 'c' AND elemrelkind='c')
    ))
ORDER BY CASE
       WHEN typtype IN ('b', 'e', 'p') THEN 0
       WHEN typtype = 'c' THEN 1
       WHEN typtype = 'r' THEN 2
       WHEN typtype = 'm' THEN 3
       WHEN typtype = 'd' AND elemtyptype <> 'a' THEN 4
       WHEN typtype = 'a' THEN 5
       WHEN typtype = 'd' AND elemtyptype = 'a' THEN 6
END"""


def npgsql_types(rows):
    arrays = {row[2]: row[5] for row in rows if row[3] == "a"}
    plain = {row[2]: row[1] for row in rows if row[3] == "b"}
    same(25, plain["text"])
    same(25, arrays["_text"])
    same(1700, arrays["_numeric"])


both(
    "Npgsql and Power BI load types",
    NPGSQL,
    """select t.typname, t.oid, t.typname, case when p.proname = 'array_recv' then 'a' else t.typtype end, t.typnotnull,
         (select max(e.oid) from pg_catalog.pg_type e where e.oid = t.typelem)
       from pg_catalog.pg_type t left outer join pg_catalog.pg_proc p on t.typreceive = p.oid""",
    npgsql_types,
)
both(
    "Npgsql loads fields of composite types",
    """SELECT typ.oid, att.attname, att.atttypid FROM pg_type AS typ
       JOIN pg_namespace AS ns ON (ns.oid = typ.typnamespace)
       JOIN pg_class AS cls ON (cls.oid = typ.typrelid)
       JOIN pg_attribute AS att ON (att.attrelid = typ.typrelid)
       WHERE (typ.typtype = 'c' AND cls.relkind='c') AND attnum > 0 AND NOT attisdropped
       ORDER BY typ.oid, att.attnum""",
    "select t.oid, a.attname from pg_type t, pg_attribute a where a.attrelid = t.typrelid and t.typtype = 'c'",
    lambda rows: same([], rows),
)
both(
    "Npgsql loads enums",
    "SELECT pg_type.oid, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid=enumtypid ORDER BY oid, enumsortorder",
    "select t.oid, e.enumlabel from pg_type t inner join pg_enum e on e.enumtypid = t.oid order by t.oid, e.enumsortorder desc",
    lambda rows: same([], rows),
)

KEYS = """select {columns} from INFORMATION_SCHEMA.TABLE_CONSTRAINTS tc
  join INFORMATION_SCHEMA.KEY_COLUMN_USAGE ii on tc.CONSTRAINT_SCHEMA = ii.CONSTRAINT_SCHEMA
   and tc.CONSTRAINT_NAME = ii.CONSTRAINT_NAME and tc.TABLE_SCHEMA = ii.TABLE_SCHEMA and tc.TABLE_NAME = ii.TABLE_NAME
 where tc.CONSTRAINT_TYPE {kinds} and ii.TABLE_SCHEMA = '{schema}' and ii.TABLE_NAME = '{table}' order by ii.ORDINAL_POSITION"""
both(
    "Power BI reads a table's keys",
    KEYS.format(columns="ii.column_name", kinds="in ('PRIMARY KEY')", schema="recon", table="exceptions"),
    KEYS.format(columns="distinct ii.column_name, ii.ordinal_position", kinds="= 'PRIMARY KEY'", schema="pm", table="commitments"),
    lambda rows: same(2, len(rows)),
)
RELATIONS = """select pkcol.COLUMN_NAME as PK_COLUMN_NAME, fkcol.TABLE_SCHEMA, fkcol.TABLE_NAME, fkcol.COLUMN_NAME
 from (select distinct constraint_catalog, constraint_schema, unique_constraint_schema, constraint_name, unique_constraint_name
       from INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS) fkcon
 inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE fkcol on fkcon.CONSTRAINT_SCHEMA = fkcol.CONSTRAINT_SCHEMA
   and fkcon.CONSTRAINT_NAME = fkcol.CONSTRAINT_NAME
 inner join INFORMATION_SCHEMA.KEY_COLUMN_USAGE pkcol on fkcon.UNIQUE_CONSTRAINT_SCHEMA = pkcol.CONSTRAINT_SCHEMA
   and fkcon.UNIQUE_CONSTRAINT_NAME = pkcol.CONSTRAINT_NAME
 where {side}.TABLE_SCHEMA = '{schema}' and {side}.TABLE_NAME = '{table}' and pkcol.ORDINAL_POSITION = fkcol.ORDINAL_POSITION
 order by fkcon.CONSTRAINT_NAME, fkcol.ORDINAL_POSITION"""


@case("recorded", "Power BI reads relations")
def _():
    assert ("record_id", "pm", "commitments", "vendor_id") in ask(RELATIONS.format(side="fkcol", schema="pm", table="commitments"))
    assert ("check_id", "recon", "exceptions", "check_id") in ask(RELATIONS.format(side="pkcol", schema="recon", table="summary"))


both(
    "Power BI lists columns",
    """select COLUMN_NAME, ORDINAL_POSITION, IS_NULLABLE, case when (data_type like '%unsigned%') then DATA_TYPE || ' unsigned' else DATA_TYPE end as DATA_TYPE
       from INFORMATION_SCHEMA.columns where TABLE_SCHEMA = 'recon' and TABLE_NAME = 'exceptions' order by TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION""",
    "select c.column_name, c.ordinal_position, c.is_nullable, c.data_type from information_schema.columns as c where c.table_name = 'summary' and c.table_schema in ('recon') order by 2",
    lambda rows: same(("check_id", 1, "NO", "text"), rows[0]),
)

METABASE = """SELECT fk_ns.nspname AS "fk-table-schema", fk_table.relname AS "fk-table-name", fk_column.attname AS "fk-column-name",
   pk_ns.nspname AS "pk-table-schema", pk_table.relname AS "pk-table-name", pk_column.attname AS "pk-column-name"
 FROM pg_constraint AS c JOIN pg_class AS fk_table ON c.conrelid = fk_table.oid
 JOIN pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid
 JOIN pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid
 JOIN pg_class AS pk_table ON c.confrelid = pk_table.oid
 JOIN pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid
 JOIN pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid
 WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char
   AND fk_column.attnum = ANY(c.conkey) AND pk_column.attnum = ANY(c.confkey) ORDER BY "fk-table-schema", "fk-table-name" """
both(
    "Metabase reads relations",
    METABASE,
    METABASE.replace("fk_ns.nspname !~ '^information_schema|catalog_history|pg_'", "fk_ns.nspname = 'recon'"),
    lambda rows: (rows and ("recon", "exceptions", "check_id", "recon", "summary", "check_id") in rows) or same("the relation", rows),
)
METABASE_FIELDS = """SELECT c.column_name AS "name", c.udt_name AS "database-type", c.ordinal_position - 1 AS "database-position", c.table_schema AS "table-schema",
   c.table_name AS "table-name", pk.column_name IS NOT NULL AS "pk?",
   COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(c.table_schema AS TEXT), CAST(c.table_name AS TEXT)) AS REGCLASS) AS OID), c.ordinal_position) AS "field-comment",
   ((column_default IS NULL OR LOWER(column_default) = 'null') AND (is_nullable = 'NO') AND NOT ((column_default IS NOT NULL AND column_default LIKE '%nextval(%') OR is_identity <> 'NO')) AS "database-required"
 FROM information_schema.columns AS c LEFT JOIN
   (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc
    INNER JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name
    WHERE tc.constraint_type = 'PRIMARY KEY') AS pk
   ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name
 WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema = 'recon' {more}
 ORDER BY "table-schema" ASC, "table-name" ASC, "database-position" ASC"""


def metabase_fields(rows):
    found = {(row[4], row[0]): row for row in rows}
    same((True, "the check that found it"), (found["exceptions", "check_id"][5], found["exceptions", "check_id"][6]))
    same(("numeric", False), (found["exceptions", "amount_at_risk"][1], found["exceptions", "amount_at_risk"][5]))


both("Metabase reads fields", METABASE_FIELDS.format(more=""), METABASE_FIELDS.format(more="AND c.table_name in ('exceptions', 'summary')"), metabase_fields)
both(
    "Metabase reads tables",
    """SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS type,
         d.description AS description, NULLIF(c.reltuples, -1) AS estimated_row_count
       FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
       LEFT JOIN pg_catalog.pg_description AS d ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
       WHERE c.relnamespace = n.oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'f', 'm') ORDER BY type ASC, schema ASC, name ASC""",
    "select n.nspname, c.relname, 'VIEW', obj_description(c.oid, 'pg_class') from pg_class c, pg_namespace n where n.oid = c.relnamespace and c.relkind = 'v' and n.nspname = 'recon'",
    lambda rows: any(row[:3] == ("recon", "exceptions", "VIEW") and row[3] for row in rows) or same("the view", rows),
)
both(
    "Metabase asks what may be read",
    """with table_privileges as (
         select NULL as role, t.schemaname as schema, t.objectname as table,
           pg_catalog.has_table_privilege(current_user, concat('"', t.schemaname, '"', '.', '"', t.objectname, '"'), 'UPDATE') as update,
           pg_catalog.has_table_privilege(current_user, concat('"', t.schemaname, '"', '.', '"', t.objectname, '"'), 'SELECT') as select
         from (select schemaname, tablename as objectname from pg_catalog.pg_tables union select schemaname, viewname as objectname from pg_catalog.pg_views) t
         where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema' and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'USAGE'))
       select t.* from table_privileges t where t.select or t.update""",
    "select null, v.schemaname, v.viewname, has_table_privilege(v.schemaname || '.' || v.viewname, 'insert'), has_table_privilege(v.schemaname || '.' || v.viewname, 'select') from pg_views v",
    lambda rows: (None, "recon", "exceptions", False, True) in rows or same("the view", rows),
)
both(
    "pgjdbc and DBeaver look a type up",
    """SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type
       LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns
         join ( select s.r, (current_schemas(false))[s.r] as nspname from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r using ( nspname )) as sp
       ON sp.nspoid = typnamespace WHERE typname = '_text' ORDER BY sp.r, pg_type.oid DESC""",
    "select t.typinput = 'array_in'::regproc, t.typtype, t.typname, t.oid from pg_type t where t.oid = '_text'::regtype",
    lambda rows: same([(True, "b", "_text", 1009)], rows),
)
both(
    "Tableau lists tables",
    """select relname, nspname, relkind from pg_catalog.pg_class c, pg_catalog.pg_namespace n where relkind in ('r', 'v', 'm', 'f', 'p')
       and nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pg_temp_1') and n.oid = relnamespace order by nspname, relname""",
    "select c.relname, n.nspname, c.relkind from pg_namespace n inner join pg_class c on c.relnamespace = n.oid where n.nspname = 'recon'",
    lambda rows: ("exceptions", "recon", "v") in rows or same("the view", rows),
)


@case("recorded", "Tableau reads by a cursor declared and fetched in one batch")
def _():
    import psycopg2

    plain = psycopg2.connect(DSN)
    plain.autocommit = True
    cursor = plain.cursor()
    for table, name in (("recon.exceptions", "SQL_CUR0x7f9e1"), ("pm.vendors", "other")):
        cursor.execute(f'BEGIN;declare "{name}" cursor with hold for SELECT * FROM {table};fetch 2 in "{name}"')
        same(2, len(cursor.fetchall()))
        cursor.execute("commit")
        cursor.execute(f'fetch forward 1 from "{name}"')
        same(1, len(cursor.fetchall()))
        cursor.execute(f'close "{name}"')
    for refused in ('CREATE LOCAL TEMPORARY TABLE "#Tableau_1_Connect" ("COL" INTEGER) ON COMMIT PRESERVE ROWS', 'SELECT * INTO TEMPORARY TABLE "#t" FROM pm.vendors LIMIT 1'):
        try:
            cursor.execute(refused)
            raise AssertionError(f"{refused} was carried out")
        except psycopg2.Error as error:
            same("25006", error.pgcode)


@case("recorded", "settings that tools send")
def _():
    for text in (
        "SET DateStyle = 'ISO'",
        "SET extra_float_digits = 3",
        "SET client_encoding = 'UTF8'",
        "SET client_min_messages TO 'warning'",
        "SET application_name = 'Metabase v0.50'",
        "SET TIME ZONE 'America/New_York'",
        "SET standard_conforming_strings = on",
        "SET bytea_output = hex",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET statement_timeout = 0",
        "SET search_path = recon, public",
        "SHOW TRANSACTION ISOLATION LEVEL",
        "SHOW search_path",
        "SHOW standard_conforming_strings",
        "BEGIN READ ONLY",
        "ROLLBACK",
        "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "COMMIT",
        "DISCARD ALL",
        "UNLISTEN *",
        "RESET ALL",
        "select current_setting('server_version_num')::int / 10000",
        "SELECT set_config('bytea_output', 'hex', false) FROM pg_catalog.pg_settings WHERE name = 'bytea_output'",
    ):
        connection.execute(text)


# As recorded it has `in (select …)` inside of a case, which DataFusion does not plan: see docs/clients.md.
GRAFANAS_PATH = """(SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1), array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
       string_to_array(current_setting('search_path'),',') s)"""


def grafanas_tables(rows):
    names = [row[0] for row in rows]
    short = [name for name in names if "." not in name]
    # Those of the search path come first, by name.
    same((sorted(short), short), (names[: len(short)], sorted(short)))
    assert "exceptions" in short and "pm.vendors" in names, names


both(
    "Grafana asks for tables",
    f"""SELECT CASE WHEN quote_ident(table_schema) IN {GRAFANAS_PATH} THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
        FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema','pg_catalog','_timescaledb_cache')
        ORDER BY CASE WHEN quote_ident(table_schema) IN {GRAFANAS_PATH} THEN 0 ELSE 1 END, 1""",
    f"""select case when v.schemaname in {GRAFANAS_PATH} then v.viewname else v.schemaname || '.' || v.viewname end from pg_views as v
        where v.schemaname <> 'pg_catalog' order by v.schemaname not in {GRAFANAS_PATH}, 1""",
    grafanas_tables,
)
both(
    "Grafana asks for a panel's series",
    """SELECT date_trunc('month', first_seen_at) AS "time", check_id AS metric, count(*) AS value FROM recon.exceptions
       WHERE first_seen_at BETWEEN '2000-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z' GROUP BY 1, 2 ORDER BY 1, 2""",
    """SELECT floor(extract(epoch from first_seen_at)/86400)*86400 AS "time", check_id, count(*) FROM recon.exceptions
       WHERE extract(epoch from first_seen_at) >= 1000 GROUP BY 1, 2 ORDER BY 1""",
    lambda rows: rows or same("rows", rows),
)
both(
    "ADBC loads types",
    "SELECT oid, typname, typreceive, typbasetype, typarray, typrelid FROM pg_catalog.pg_type WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r' AND typreceive::TEXT != 'array_recv'",
    "select t.oid, t.typname, t.typreceive::text from pg_type t where t.typreceive <> 0",
    lambda rows: any(row[1:3] == ("bool", "boolrecv") for row in rows) or same("boolrecv", rows),
)
both(
    "Power BI asks for the encoding",
    "select character_set_name from INFORMATION_SCHEMA.character_sets",
    "select c.character_set_name from information_schema.character_sets as c where c.character_set_name is not null",
    lambda rows: same([("UTF8",)], rows),
)
both(
    "DBeaver reads a view's source",
    "SELECT pg_catalog.pg_get_viewdef(c.oid, true) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'recon' AND c.relname = 'summary'",
    "select v.definition from pg_views as v where v.viewname = 'exceptions' and v.schemaname = 'recon'",
    lambda rows: (len(rows) == 1 and "select" in rows[0][0].lower()) or same("a query", rows),
)
COLUMNS = """SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value, dsc.description, dep.objid
 FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
 LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
 LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
 LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
 WHERE NOT a.attisdropped AND c.oid = '{table}'::regclass ORDER BY a.attnum"""
both(
    "DBeaver reads columns",
    COLUMNS.format(table="recon.exceptions"),
    "select 'exceptions', a.attrelid, a.attname, col_description(a.attrelid, a.attnum) from pg_attribute as a where a.attnum = 1 and a.attrelid = 'recon.exceptions'::regclass",
    lambda rows: ("check_id" in rows[0] and "the check that found it" in rows[0]) or same("check_id", rows[0]),
)
both(
    "pgAdmin lists databases",
    """SELECT db.oid as did, db.datname, db.datallowconn, pg_encoding_to_char(db.encoding) AS serverencoding, has_database_privilege(db.oid, 'CREATE') as cancreate, datistemplate
       FROM pg_catalog.pg_database db WHERE db.datname = current_database()""",
    "select 0, d.datname, has_database_privilege(d.datname, 'connect'), pg_encoding_to_char(d.encoding), has_database_privilege('tieout', 'create') from pg_database as d where d.datname = 'tieout'",
    lambda rows: same([("tieout", True, "UTF8", False)], [row[1:5] for row in rows]),
)
both(
    "pgjdbc asks how many columns a key may have",
    "SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'",
    "select current_setting(s.name) from pg_settings as s where s.name like 'max_index%'",
    lambda rows: same([("32",)], rows),
)


@case("recorded", "DuckDB and connectorx copy in binary")
def _():
    for text in ('COPY (SELECT "check_id", "amount_at_risk" FROM "recon"."exceptions" ) TO STDOUT (FORMAT "binary")', "copy (select name from pm.vendors) to stdout with binary"):
        with connection.cursor().copy(text) as copy:
            assert b"".join(copy).startswith(b"PGCOPY\n"), text


done()
