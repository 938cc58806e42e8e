"""The three engines behind one interface: load days, look at a day, ask. Only their public ways in and out are used.

Each has a server or a worker of its own, so that its processor time and memory are its own. `run` drains an answer without making
values of it: from tieout and PostgreSQL into libpq's buffers over the loopback, from DuckDB, which has no server, into Arrow.
"""
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import pathlib
import shutil
import socket
import subprocess
import time

import duckdb
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq

import firm

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")

INDEXES = {
    "pm_vendors": ["erp_code"], "pm_change_orders": ["number", "approved_date"], "pm_sub_invoices": ["number", "status", "project_id"],
    "erp_ap_invoices": ["invoice_number"], "erp_payments": ["invoice_number"], "pm_owner_invoices": ["number"],
    "erp_ar_invoices": ["invoice_number"], "erp_job_cost": ["cost_code", "job_number, cost_code"], "pm_commitment_lines": ["commitment_id"],
    "pm_budget_lines": ["project_id, cost_code"],
}


def parquet(data, day, table):
    """The file of a table as of a day."""
    return data / str(day) / table.split("_")[0] / f"{table}.parquet"


def schema_of(day):
    return f"d{day:%Y%m%d}"


def sql_type(kind):
    if pa.types.is_decimal(kind):
        return "numeric(18,2)"
    if pa.types.is_timestamp(kind):
        return "timestamptz"
    if pa.types.is_integer(kind):
        return "bigint"
    return {"date32[day]": "date", "bool": "boolean"}.get(str(kind), "text")


def columns_of(path):
    """Columns of a Parquet file, each with its SQL type."""
    return [(field.name, sql_type(field.type)) for field in pq.read_schema(path)]


def folder_bytes(folder, part=""):
    """Bytes of the files below a folder; on request of those in folders of a name alone."""
    found = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in found if not part or part in path.parts)


def free_port():
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def process_fields(process):
    """What the system tells of a process, from its state on; of one that is gone, zeros."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ["0"] * 50


def process_seconds(process, and_ended=False):
    """Processor time of a process, on request with that of its children that have ended."""
    return sum(map(int, process_fields(process)[11:15 if and_ended else 13])) / TICKS


def peak_megabytes(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


def forget_peak(process):
    """Lets the peak of a process begin anew, where the system lets us."""
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{process}/clear_refs").write_text("5")


class Wire:
    """What asks over the Postgres protocol."""

    def connect(self, **options):
        self.connection = psycopg2.connect(**self.address, sslmode="disable", connect_timeout=60, **options)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def environment(self):
        """For libpq's own programs."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE", "password": "PGPASSWORD"}
        own = {names[name]: str(value) for name, value in self.address.items()}
        return os.environ | own | {"PGSSLMODE": "disable", "PGOPTIONS": f"-c search_path={self.path}"}

    def run(self, statement):
        self.cursor.execute(statement)

    def rows(self, statement):
        self.cursor.execute(statement)
        return self.cursor.fetchall()

    def copied(self, statement):
        """An answer as CSV, by the session's own settings."""
        out = io.BytesIO()
        self.cursor.copy_expert(f"copy ({statement}) to stdout (format csv)", out)
        out.seek(0)
        return out

    def copy(self, statement, form, output):
        """Copies an answer to a file, by psql."""
        command = ["psql", "-X", "-q", "-c", f"copy ({statement}) to stdout (format {form})"]
        subprocess.run(command, env=self.environment(), stdout=output, check=True)


class Postgres(Wire):
    """PostgreSQL as an administrator sets it up for this: natural indexes, a full copy of each day that is looked at."""

    name = "PostgreSQL"
    path = "head"

    def __init__(self, data, tables, keys):
        self.data, self.tables, self.keys = data, tables, keys
        words = dict(word.split("=", 1) for word in os.environ["PEER"].split())
        self.address = {"host": words["host"], "port": words["port"], "user": words["user"], "dbname": words["dbname"]}
        self.connect()

    def close(self):
        self.connection.close()

    def _copy_in(self, source, target, columns):
        """Rows of a Parquet file into a table, as CSV through a pipe."""
        read, write = os.pipe()
        worker = multiprocessing.get_context("fork").Process(target=_write_csv, args=(source, write, read))
        worker.start()
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            names = ", ".join(name for name, _ in columns)
            self.cursor.copy_expert(f"copy {target} ({names}) from stdin (format csv)", stream, 1 << 20)
        worker.join()
        if worker.exitcode:
            raise SystemExit(f"{source} could not be copied to {target}")

    def load(self, day, tables=None, schema=None):
        schema = schema or schema_of(day)
        self.run(f"create schema {schema}")
        for table in tables or self.tables:
            source = parquet(self.data, day, table)
            columns = columns_of(source)
            self.run(f"create table {schema}.{table} ({', '.join(' '.join(column) for column in columns)})")
            self._copy_in(source, f"{schema}.{table}", columns)
            if schema == "head":
                self.run(f"alter table head.{table} add primary key ({self.keys[table]})")
                for index in INDEXES.get(table, []):
                    self.run(f"create index on head.{table} ({index})")
        self.run("vacuum analyze")

    def night(self, day):
        """What changed by a day: copied beside, then put into the tables."""
        for table in self.tables:
            source, key = parquet(self.data, day, table), self.keys[table]
            columns = columns_of(source)
            names = [name for name, _ in columns]
            self.run(f"create temp table arrived (like head.{table})")
            self._copy_in(source, "arrived", columns)
            self.run("analyze arrived")
            self.run(f"delete from head.{table} t where not exists (select 1 from arrived a where a.{key} = t.{key})")
            changed = ", ".join(f"{name} = excluded.{name}" for name in names if name != key)
            row = ", ".join(f"t.{name}" for name in names), ", ".join(f"excluded.{name}" for name in names)
            self.run(f"insert into head.{table} as t select * from arrived on conflict ({key}) do update set {changed} "
                     f"where ({row[0]}) is distinct from ({row[1]})")
            self.run("drop table arrived")

    def keep(self, table, columns, rows):
        """Keeps an answer, given as CSV, as a table of the schema `kept`."""
        self.run(f"create schema if not exists kept; drop table if exists kept.{table}")
        self.run(f"create table kept.{table} ({', '.join(f'{name} {kind}' for name, kind in columns)})")
        self.cursor.copy_expert(f"copy kept.{table} from stdin (format csv)", rows)
        self.run(f"vacuum analyze kept.{table}")

    def look(self, day):
        """Lets statements mean the tables of a day; of the newest without one."""
        self.path = schema_of(day) if day else "head"
        self.run(f"set search_path = {self.path}")

    def stored_bytes(self, schema):
        size = self.rows(f"select coalesce(sum(pg_total_relation_size(c.oid)), 0) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                         f"where c.relkind in ('r', 'm') and n.nspname like '{schema}'")
        return int(size[0][0])

    def _backends(self):
        return [row[0] for row in self.rows("select pid from pg_stat_activity")]

    def seconds(self):
        postmaster = process_fields(self.connection.get_backend_pid())[1]
        return process_seconds(postmaster, and_ended=True) + sum(process_seconds(process) for process in self._backends())

    def forget_peak(self):
        forget_peak(self.connection.get_backend_pid())

    def peak(self):
        return peak_megabytes(self.connection.get_backend_pid())


def _write_csv(source, write, read):
    os.close(read)
    with duckdb.connect() as engine:
        engine.execute("set threads = 1")
        engine.execute(f"copy (from read_parquet('{source}')) to '/dev/fd/{write}' (format csv, header false)")


class DuckDb:
    """DuckDB in a process of its own: the newest day in its own file, days before it as Parquet files."""

    name = "DuckDB"

    def __init__(self, data, tables, keys, file, threads):
        self.tables = tables
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.worker = context.Process(target=_duckdb_worker, args=(theirs, data, tables, keys, file, threads), daemon=True)
        self.worker.start()

    def _ask(self, *question):
        self.pipe.send(question)
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self._ask("close")
        self.worker.join()

    def load(self, day):
        self._ask("load", day)

    def night(self, day):
        self._ask("night", day)

    def look(self, day):
        self._ask("look", day)

    def run(self, statement):
        self._ask("run", statement)

    def rows(self, statement):
        return self._ask("rows", statement)

    def seconds(self):
        return process_seconds(self.worker.pid)

    def forget_peak(self):
        forget_peak(self.worker.pid)

    def peak(self):
        return peak_megabytes(self.worker.pid)


def _duckdb_worker(pipe, data, tables, keys, file, threads):
    engine = duckdb.connect(str(file))
    engine.execute(f"set threads = {threads}")
    engine.execute("set preserve_insertion_order = false")

    def load(day):
        for table in tables:
            engine.execute(f"create table {table} as from read_parquet('{parquet(data, day, table)}')")
        engine.execute("checkpoint")

    def night(day):
        for table in tables:
            source, key = f"read_parquet('{parquet(data, day, table)}')", keys[table]
            engine.execute("begin")
            engine.execute(f"create temp table arrived as from {source} except from {table}")
            engine.execute(f"delete from {table} where {key} in (select {key} from arrived) or {key} not in (select {key} from {source})")
            engine.execute(f"insert into {table} from arrived")
            engine.execute("drop table arrived")
            engine.execute("commit")
        engine.execute("checkpoint")

    def look(day):
        for table in tables:
            if day and parquet(data, day, table).exists():
                engine.execute(f"create or replace temp view {table} as from read_parquet('{parquet(data, day, table)}')")
            else:
                engine.execute(f"drop view if exists temp.{table}")

    def rows(statement):
        return engine.execute(statement).fetchall()

    def run(statement):
        engine.sql(statement).to_arrow_table()

    do = {"load": load, "night": night, "look": look, "rows": rows, "run": run}
    while True:
        name, *values = pipe.recv()
        if name == "close":
            engine.close()
            pipe.send(None)
            return
        try:
            pipe.send(do[name](*values))
        except Exception as error:  # whoever asked is told
            pipe.send(RuntimeError(str(error)))


class Tieout(Wire):
    """tieout: each day a bundle that is extracted to a commit, days before it read as of them."""

    name = "tieout"
    path = "benchpm,bencherp"

    def __init__(self, data, folder, binary):
        self.data, self.folder, self.binary = data, folder, binary
        shutil.copytree(HERE / "workspace", folder)
        self.warehouse = folder / "warehouse"
        self.password = hashlib.sha256(str(folder).encode()).hexdigest()
        self.server = None

    def _environment(self):
        return os.environ | {"PEER_PASSWORD": self.password}

    def load(self, day):
        """Extracts the bundles of a day, in a process of its own; its processor time and peak in megabytes."""
        bundles = self.folder / "bundles"
        bundles.unlink(missing_ok=True)
        bundles.symlink_to(self.data / str(day))
        command = [self.binary, "extract", "--no-progress", "--now", f"{day}T22:00:00Z"]
        with open(self.folder / "extract.log", "a", encoding="utf-8") as log:
            run = subprocess.Popen(command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log)
            _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        # 1 says that checks found something, which they do.
        if run.returncode not in (0, 1):
            raise SystemExit(f"extract of {day} ended with {run.returncode}\n" + (self.folder / "extract.log").read_text()[-4000:])
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024

    def night(self, day):
        return self.load(day)

    def vacuum(self):
        """Drops whole tables of commits that are no month's last: what is left is the least that keeps every day."""
        command = [self.binary, "vacuum", "--keep-days", "0", "--safety-hours", "0"]
        subprocess.run(command, cwd=self.folder, env=self._environment(), check=True, capture_output=True)

    def serve(self):
        port = free_port()
        log = open(self.folder / "serve.log", "a", encoding="utf-8")
        command = [self.binary, "serve", "--listen", f"127.0.0.1:{port}"]
        self.server = subprocess.Popen(command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log)
        self.address = {"host": "127.0.0.1", "port": port, "user": "peer", "dbname": "tieout", "password": self.password}
        for _ in range(600):
            try:
                self.connect()
                break
            except psycopg2.OperationalError:
                if self.server.poll() is not None:
                    raise SystemExit((self.folder / "serve.log").read_text()[-4000:]) from None
                time.sleep(0.1)
        self.run(f"set search_path = {self.path}")

    def close(self):
        self.connection.close()
        self.server.terminate()
        self.server.wait()

    def look(self, day):
        self.run(f"set tieout.as_of = '{day}'" if day else "reset tieout.as_of")

    def seconds(self):
        return process_seconds(self.server.pid)

    def forget_peak(self):
        forget_peak(self.server.pid)

    def peak(self):
        return peak_megabytes(self.server.pid)


def write_day(data, made, day, tables=None):
    """The tables of a day as Parquet files, with the manifests that make bundles of them; bytes written."""
    whole = data / str(day)
    if whole.exists():
        return folder_bytes(whole)
    part = data / f"{day}.part"
    shutil.rmtree(part, ignore_errors=True)
    for side in ("pm", "erp"):
        files = []
        (part / side).mkdir(parents=True)
        for name in (name for name in made.tables if name.startswith(f"{side}_") and (tables is None or name in tables)):
            rows, path = made.snapshot(name, firm.day_of(day)), part / side / f"{name}.parquet"
            pq.write_table(rows, path, compression="zstd", compression_level=3, row_group_size=131072, store_decimal_as_integer=True)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            files.append({"entity": name, "path": path.name, "sha256": digest, "rows": rows.num_rows})
        bundle = {"system": f"bench{side}", "as_of": f"{day}T21:00:00+00:00", "timezone": "UTC", "currency": "USD", "files": files}
        (part / side / "bundle.json").write_text(json.dumps(bundle, indent=1))
    part.rename(whole)
    return folder_bytes(whole)
