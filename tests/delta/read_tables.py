"""Published tables through other people's programs: every version against what `tieout sql --as-of commit:N` says.

usage: read_tables.py versions TIEOUT CONFIG EXPORTED.json     every version, by every reader
       read_tables.py current TIEOUT CONFIG EXPORTED.json      the current version; older ones are right or an error
       read_tables.py absolute TIEOUT CONFIG EXPORTED.json     logs elsewhere, by the reader that follows absolute addresses
"""

import csv
import datetime
import io
import json
import subprocess
import sys
from collections import defaultdict

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, QueryBuilder, write_deltalake

mode, tieout, config, exported = sys.argv[1:]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
compared = 0


def fail(what):
    sys.exit(f"differs: {what}")


def same(what, found, expected):
    global compared
    compared += 1
    if found != expected:
        fail(f"{what}: {found!r}, not {expected!r}")


def measures(schema):
    """What is compared of each column: name, SQL of tieout, the same from an Arrow table."""
    yield "rows", "count(*)", lambda table: table.num_rows
    for field in schema:
        name, kind = field.name, field.type
        column = f'"{name}"'
        yield f"{name} not null", f"count({column})", lambda table, n=name: len(table[n]) - table[n].null_count
        if pa.types.is_decimal(kind):
            wide = pa.decimal128(38, kind.scale)
            yield f"{name} sum", f"sum(cast({column} as decimal(38,{kind.scale})))", lambda table, n=name, w=wide: pc.sum(table[n].cast(w)).as_py()
        elif pa.types.is_integer(kind):
            yield f"{name} sum", f"sum(cast({column} as decimal(38,0)))", lambda table, n=name: pc.sum(table[n].cast(pa.decimal128(38, 0))).as_py()
        elif pa.types.is_boolean(kind):
            yield f"{name} true", f"count(case when {column} then 1 end)", lambda table, n=name: pc.sum(table[n]).as_py() or 0
        elif pa.types.is_date(kind):
            for way in (pc.min, pc.max):
                yield f"{name} {way.__name__}", f"{way.__name__}({column})", lambda table, n=name, w=way: w(table[n]).as_py()
        elif pa.types.is_timestamp(kind):
            if kind.tz is None or kind.unit != "us":
                fail(f"{name} is {kind}: not UTC in microseconds")
            for way in (pc.min, pc.max):
                sql = f"cast({way.__name__}({column}) as bigint)"
                yield f"{name} {way.__name__}", sql, lambda table, n=name, w=way: w(table[n].cast(pa.int64())).as_py()
        else:
            yield f"{name} letters", f"sum(character_length({column}))", lambda table, n=name: pc.sum(pc.utf8_length(table[n])).as_py()


def text(value):
    if value is None:
        return ""
    # tieout writes a sum with the column's scale, Arrow too; without digits both write an integer.
    return str(value)


def ask(commit, wanted):
    """Questions for all tables of a commit: {table: [(measure, SQL)]} to (table, measure) to text."""
    # A statement may have 5,000 words and signs.
    parts = [{}]
    for table, of_table in wanted.items():
        if sum(map(len, parts[-1].values())) > 150:
            parts.append({})
        parts[-1][table] = of_table
    answers = {}
    for part in parts:
        answers.update(ask_once(commit, part))
    return answers


def ask_once(commit, wanted):
    """One question, a row for each table."""
    width = max(len(measures) for measures in wanted.values())
    selects = []
    for table, measures in wanted.items():
        values = [f"cast({sql} as varchar) as v{place}" for place, (_, sql) in enumerate(measures)]
        values += [f"cast(null as varchar) as v{place}" for place in range(len(measures), width)]
        selects.append(f"select '{table}' as name, {', '.join(values)} from {table}")
    query = " union all ".join(selects)
    command = [tieout, "--config", config, "sql", "--format", "csv", "--as-of", f"commit:{commit}", query]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        fail(f"tieout sql as of commit {commit}: {done.stderr}")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    same(f"tables at commit {commit}", sorted(rows), sorted(wanted))
    return {(t, m): rows[t][f"v{place}"] for t, all in wanted.items() for place, (m, _) in enumerate(all)}


def commit_of(entry):
    return int(entry["userMetadata"].removeprefix("commit "))


def history(table):
    return {entry["version"]: entry for entry in DeltaTable(table["location"]).history()}


def compare(tables_by_commit):
    """{commit: {name: [(reader, Arrow table)]}} against tieout."""
    for commit, tables in sorted(tables_by_commit.items()):
        schemas = {name: readings[0][1].schema for name, readings in tables.items()}
        answers = ask(commit, {name: [(it, sql) for it, sql, _ in measures(schema)] for name, schema in schemas.items()})
        for name, readings in tables.items():
            for reader, found in readings:
                for measure, _, way in measures(found.schema):
                    same(f"{name} at commit {commit}, {measure}, by {reader}", text(way(found)), answers[name, measure])


def by_polars(location, **version):
    frame = polars.scan_delta(location, **version).collect()
    table = frame.to_arrow()
    # Polars has its own kinds of text.
    return table.cast(pa.schema([(f.name, pa.string() if pa.types.is_large_string(f.type) or f.type == pa.string_view() else f.type) for f in table.schema]))


def skipping(name, location):
    """A file that statistics wrongly rule out would be missed: the least, the most and some value of each column are found."""
    delta = DeltaTable(location)
    whole = delta.to_pyarrow_table()
    dataset = delta.to_pyarrow_dataset()
    lazy = polars.scan_delta(location)
    for field in whole.schema:
        column = whole[field.name].drop_null()
        if not len(column) or pa.types.is_boolean(field.type):
            continue
        bounds = pc.min_max(column)
        for value in (bounds["min"], bounds["max"], column[len(column) // 2]):
            expected = pc.sum(pc.equal(column, value)).as_py()
            found = dataset.count_rows(filter=pc.field(field.name) == value)
            same(f"{name} where {field.name} = {value}, by deltalake", found, expected)
            literal = polars.lit(value.as_py())
            if pa.types.is_decimal(field.type):
                literal = literal.cast(polars.Decimal(field.type.precision, field.type.scale))
            found = lazy.filter(polars.col(field.name) == literal).select(polars.len()).collect().item()
            same(f"{name} where {field.name} = {value}, by Polars", found, expected)


def travel(name, location, entries):
    """A moment leads to the newest version up to it."""
    at = {version: EPOCH + datetime.timedelta(milliseconds=entry["timestamp"]) for version, entry in entries.items()}
    for version, moment in at.items():
        after = at.get(version + 1)
        between = [moment, moment + datetime.timedelta(milliseconds=1) if after is None else moment + (after - moment) / 2]
        for asked in between:
            delta = DeltaTable(location)
            delta.load_as_version(asked)
            same(f"{name} at {asked}", delta.version(), version)
    delta = DeltaTable(location)
    same(f"{name}: versions", sorted(at), list(range(delta.version() + 1)))


def guarded(name, location):
    """A program that may write finds nothing to clean up, and does not write."""
    same(f"{name}: to clean up", DeltaTable(location).vacuum(dry_run=True), [])
    try:
        write_deltalake(location, DeltaTable(location).to_pyarrow_table(), mode="append")
    except Exception:
        return
    fail(f"{name}: another program wrote to it")


tables = json.load(open(exported))
if not tables:
    sys.exit("nothing was published")
readings = defaultdict(lambda: defaultdict(list))
gone = 0
for table in tables:
    name, location = f"{table['source']}.{table['table']}", table["location"]
    entries = history(table)
    same(f"{name}: current commit", commit_of(entries[table["version"]]), table["commit"])
    if mode == "absolute":
        for version in entries:
            delta = DeltaTable(location, version=version)
            found = QueryBuilder().register("t", delta).execute("select * from t").read_all()
            found = pa.table(found)
            found = found.cast(pa.schema([(f.name, pa.string() if f.type == pa.string_view() else f.type) for f in found.schema]))
            readings[commit_of(entries[version])][name].append(("DataFusion", found))
        continue
    for version, entry in entries.items():
        is_current = version == table["version"]
        try:
            found = DeltaTable(location, version=version).to_pyarrow_table()
        except FileNotFoundError as error:
            if mode == "versions" or is_current:
                fail(f"{name} version {version}: {error}")
            gone += 1
            continue
        of_version = readings[commit_of(entry)][name]
        of_version.append(("deltalake", found))
        of_version.append(("Polars", by_polars(location, version=version)))
        if is_current:
            dataset = DeltaTable(location).to_pyarrow_dataset()
            count = duckdb.sql("select count(*) from dataset").fetchall()[0][0]
            same(f"{name}: rows by DuckDB", count, found.num_rows)
    if mode == "versions":
        travel(name, location, entries)
        skipping(name, location)
        guarded(name, location)
compare(readings)
if mode == "current" and not gone:
    sys.exit("no state was dropped: nothing was tried")
versions = sum(len(of_commit) for of_commit in readings.values())
print(f"{mode}: {len(tables)} tables, {versions} versions read, {gone} whose states were dropped, {compared} comparisons")
