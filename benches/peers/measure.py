"""Asks PostgreSQL, DuckDB and tieout the same questions of the same data, compares every answer and prints what each took.

Repetitions are interleaved: each asks every engine once, in an order that turns, so that other work on the machine meets all alike.
Times are by the clock; beside them stands the processor time of the engine alone. An answer that differs ends the run with an error.
"""
import argparse
import decimal
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

import engines
import firm
import statements

HEAD = firm.date_of(firm.LAST)


def plain(value):
    """A value as text that is the same whichever client made it."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, decimal.Decimal)):
        return format(decimal.Decimal(value).normalize(), "f")
    return str(value)


def answer(rows):
    """What tells a set of rows from any other: how many there are, and a digest of them in order of their text."""
    lines = sorted("\x1f".join(map(plain, row)) for row in rows)
    return len(lines), hashlib.sha256("\x1e".join(lines).encode()).hexdigest()[:16]


class Report:
    """Measurements as lines of JSON in a file, and as tables for people."""

    def __init__(self, path, size):
        self.path, self.size, self.differences, self.lines = path, size, [], []
        path.unlink(missing_ok=True)

    def write(self, work, engine, **values):
        line = {"size": self.size, "work": work, "engine": engine} | values
        self.lines.append(line)
        with open(self.path, "a", encoding="utf-8") as out:
            out.write(json.dumps(line, default=str) + "\n")
        print(json.dumps(line, default=str), file=sys.stderr, flush=True)

    def times(self, work, engine, seconds, processor, peak=None, **more):
        self.write(work, engine, median_ms=round(statistics.median(seconds) * 1000, 1), least_ms=round(min(seconds) * 1000, 1),
                   most_ms=round(max(seconds) * 1000, 1), processor_ms=round(statistics.median(processor) * 1000), peak_mb=peak,
                   repetitions=len(seconds), **more)

    def compare(self, work, answers, statement):
        """Notes engines that say something else than the first."""
        first = next(iter(answers))
        for engine, said in answers.items():
            if said != answers[first]:
                self.differences.append(work)
                self.write(work, engine, differs_from=first, answer=said, other=answers[first], statement=statement)
        if all(said == answers[first] for said in answers.values()):
            self.write(work, "all", same_answer=answers[first], engines=list(answers))

    def table(self):
        works = list(dict.fromkeys(line["work"] for line in self.lines if "median_ms" in line))
        names = list(dict.fromkeys(line["engine"] for line in self.lines if "median_ms" in line))
        print(f"\n| milliseconds at size {self.size:g}: median (least–most), processor, peak MB | " + " | ".join(names) + " |")
        print("|---" * (len(names) + 1) + "|")
        for work in works:
            cells = []
            for name in names:
                found = [line for line in self.lines if line["work"] == work and line["engine"] == name and "median_ms" in line]
                cells.append("".join(f"{x['median_ms']:,} ({x['least_ms']:,}–{x['most_ms']:,}), {x['processor_ms']:,}, {x['peak_mb'] or '–'}"
                                     for x in found[-1:]))
            print(f"| {work} | " + " | ".join(cells) + " |")
        clients = [line for line in self.lines if "statements_a_second" in line]
        if clients:
            print("\n| small statements: p50 / p99 ms, a second | clients | " + " | ".join(dict.fromkeys(x["engine"] for x in clients)) + " |")
            print("|---" * (2 + len({x["engine"] for x in clients})) + "|")
        for work, count in dict.fromkeys((x["work"], x["clients"]) for x in clients):
            cells = (f"{x['p50_ms']} / {x['p99_ms']}, {x['statements_a_second']:,}"
                     for x in clients if (x["work"], x["clients"]) == (work, count))
            print(f"| {work} | {count} | " + " | ".join(cells) + " |")
        for line in self.lines:
            if "bytes" in line:
                print(f"- {line['work']}, {line['engine']}: {line['bytes']:,} bytes")


class Comparison:
    """The three engines with the same data in them."""

    def __init__(self, options):
        self.options = options
        self.folder = options.folder / f"size-{options.size:g}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.report = Report(self.folder / "results.jsonl", options.size)
        self.made = firm.Firm(options.size)
        self.tables = list(self.made.tables)
        self.keys = {name: table.key for name, table in self.made.tables.items()}
        self.months = firm.month_ends(options.months)
        days = {statements.PAST, HEAD, *self.months}
        self.days = sorted(days)
        self.nights = [firm.date_of(firm.LAST + night) for night in range(1, options.nights + 1)]
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="peers-", dir=self.folder))

    def load(self):
        """The same days into each; each engine's time, and what they take on the disk."""
        copies = 0
        for day in self.days + self.nights:
            written = engines.write_day(self.data, self.made, day)
            copies += written if day in self.days else 0
        self.report.write("storage: the days as full copies in Parquet", "files", bytes=copies, days=len(self.days))
        threads = os.cpu_count() or 1
        self.postgres = engines.Postgres(self.data, self.tables, self.keys)
        self.duckdb = engines.DuckDb(self.data, self.tables, self.keys, self.scratch / "firm.duckdb", threads)
        self.tieout = engines.Tieout(self.data, self.scratch / "workspace", self.options.binary)
        self.all = [self.postgres, self.duckdb, self.tieout]
        began = time.perf_counter()
        self.postgres.load(HEAD, schema="head")
        self.report.write("first load", "PostgreSQL", seconds=round(time.perf_counter() - began, 1))
        self.report.write("storage: the newest day", "PostgreSQL", bytes=self.postgres.stored_bytes("head"))
        for day in sorted(set(self.days)):
            self.postgres.load(day, statements.CHECKED)
        began = time.perf_counter()
        self.duckdb.load(HEAD)
        self.report.write("first load", "DuckDB", seconds=round(time.perf_counter() - began, 1))
        for day in self.days:
            began = time.perf_counter()
            processor, peak = self.tieout.load(day)
            self.report.write("a commit of a day", "tieout", day=str(day), seconds=round(time.perf_counter() - began, 2),
                              processor_seconds=round(processor, 2), peak_mb=peak, warehouse=engines.folder_bytes(self.tieout.warehouse))
        days = f"the {len(self.days)} days"
        self.report.write(f"storage: {days}, only the tables that checks read", "PostgreSQL", bytes=self.postgres.stored_bytes("d2%"))
        self.report.write("storage: the newest day", "DuckDB", bytes=(self.scratch / "firm.duckdb").stat().st_size)
        self.report.write(f"storage: {days}", "tieout", bytes=engines.folder_bytes(self.tieout.warehouse))
        self.tieout.serve()
        for engine in self.all:
            engine.look(None)

    def interleaved(self, work, do, who=None, repetitions=None, warm=True):
        """Does something with each engine so many times, and reports what it took."""
        who = who or self.all
        if warm:
            for engine in who:
                do(engine)
        seconds, processor = ({engine.name: [] for engine in who} for _ in range(2))
        for engine in who:
            engine.forget_peak()
        for repetition in range(repetitions or self.options.repetitions):
            turn = repetition % len(who)
            for engine in who[turn:] + who[:turn]:
                used, began = engine.seconds(), time.perf_counter()
                do(engine)
                seconds[engine.name].append(time.perf_counter() - began)
                processor[engine.name].append(engine.seconds() - used)
        for engine in who:
            self.report.times(work, engine.name, seconds[engine.name], processor[engine.name], engine.peak())

    def equal(self, work, statement, day=None):
        answers = {}
        for engine in self.all:
            engine.look(day)
            answers[engine.name] = answer(engine.rows(statement))
        self.report.compare(work, answers, statement)

    def whole(self, work, table, day):
        """Whether each engine has exactly the rows of a table, column for column, that the day's file has."""
        source = f"read_parquet('{engines.parquet(self.data, day, table)}')"
        differing = {}
        with duckdb.connect() as judge:
            judge.execute(f"set timezone = 'UTC'; create table t as from {source}")
            kinds = judge.execute("select column_name, column_type from (describe t)").fetchall()
            columns = ", ".join(name for name, _ in kinds)
            for engine in (self.postgres, self.tieout):
                path = self.scratch / "rows.csv"
                with open(path, "wb") as out:
                    engine.copy(f"select {columns} from {table}", "csv", out)
                theirs = f"read_csv('{path}', header = false, columns = {json.dumps(dict(kinds))})"
                differing[engine.name] = [judge.execute(f"select count(*) from ({one} except all {other})").fetchone()[0]
                                          for one, other in (("from t", f"from {theirs}"), (f"from {theirs}", "from t"))]
                path.unlink()
        differing["DuckDB"] = [self.duckdb.rows(f"select count(*) from ({one} except all {other})")[0][0]
                               for one, other in ((f"from {source}", f"from {table}"), (f"from {table}", f"from {source}"))]
        if any(count for counts in differing.values() for count in counts):
            self.report.differences.append(f"{work}: {table}")
        self.report.write(f"{work}: {table}", "all", rows_missing_and_extra=differing)

    def checks(self):
        for work, looked, day in (("W1 checks now", None, HEAD), ("W2 checks as of 2024-06-30", statements.PAST, statements.PAST)):
            for name in statements.CHECKS:
                self.equal(f"{work}: {name}", statements.check(name, day), looked)
            for engine in self.all:
                engine.look(looked)

            def all_checks(engine, day=day):
                for name in statements.CHECKS:
                    engine.run(statements.check(name, day))

            self.interleaved(work, all_checks)
            if looked is None:
                for name in statements.CHECKS:
                    self.interleaved(f"{work}: {name}", lambda engine, name=name: engine.run(statements.check(name, HEAD)))
        for engine in self.all:
            engine.look(None)

    def stored(self):
        """What was computed before anybody asked: tieout's checks of its own, and in PostgreSQL the same rows as a table."""
        for check, (of, table) in statements.FOUND.items():
            expected = self.postgres.rows(f"select count(*) {of}")
            found = self.tieout.rows(f"select open_count + in_flight_count from recon.summary where check_id = '{check}'")
            if table:
                linked = f"select cast(invoice_id as varchar) from {table} where {statements.LINKED}"
                found = self.tieout.rows(f"select count(*) from recon.exceptions where check_id = '{check}' and pm_id in ({linked})")
            self.report.compare(f"check {check}", {"PostgreSQL, raw rows": answer(expected), "tieout": answer(found)}, of)
        oids = {}
        for work, (statement, day) in statements.STORED.items():
            self.tieout.look(day)
            try:
                rows = self.tieout.rows(statement)
            except Exception as error:
                self.report.write(work, "tieout", not_measured=str(error)[:300])
                continue
            columns = [(column.name, oids.setdefault(column.type_code, self.postgres.rows(f"select format_type({column.type_code}, null)")[0][0]))
                       for column in self.tieout.cursor.description]
            self.postgres.keep("kept", columns, self.tieout.copied(statement))
            self.report.compare(work, {"tieout": answer(rows), "PostgreSQL": answer(self.postgres.rows("select * from kept.kept"))}, statement)
            ask = {"tieout": statement, "PostgreSQL": "select * from kept.kept"}
            self.interleaved(work, lambda engine, ask=ask: engine.run(ask[engine.name]), [self.postgres, self.tieout])
        self.tieout.look(None)

    def trend(self):
        found = {engine.name: [] for engine in self.all}

        def all_months(engine):
            points = []
            for day in self.months:
                engine.look(day)
                points += [(day, name, *engine.rows(statements.measure(name, day))[0]) for name in statements.CHECKS]
            found[engine.name] = points

        self.interleaved(f"W3 trend of {len(self.months)} months", all_months, repetitions=min(self.options.repetitions, 3), warm=False)
        self.report.compare("W3 trend", {name: answer(points) for name, points in found.items()}, "statements.measure of each month")
        for engine in self.all:
            engine.look(None)

    def matching(self):
        able = [self.duckdb, self.tieout]
        self.report.write("W4 vendor matching", "PostgreSQL", not_measured="it has no Jaro-Winkler function")
        self.report.compare("W4 vendor matching", {engine.name: answer(engine.rows(statements.MATCH)) for engine in able}, statements.MATCH)
        self.interleaved("W4 vendor matching", lambda engine: engine.run(statements.MATCH), able)

    def job_cost(self):
        self.equal("W5 job cost", statements.JOB_COST_WHOLE)
        self.interleaved("W5 job cost", lambda engine: engine.run(statements.JOB_COST))

    def export(self):
        self.whole("W6 export", "erp_job_cost", HEAD)
        wire = [self.postgres, self.tieout]
        with open(os.devnull, "wb") as nowhere:
            for form in ("text", "binary"):
                self.interleaved(f"W6 export, COPY {form} by psql", lambda engine, form=form: engine.copy(statements.EXPORT, form, nowhere), wire,
                                 min(self.options.repetitions, 5))
        self.interleaved("W6 export, rows into libpq; DuckDB without a wire", lambda engine: engine.run(statements.EXPORT), None,
                         min(self.options.repetitions, 3))

    def clients(self):
        """Small statements by pgbench. DuckDB has no server to ask."""
        pgbench = shutil.which("pgbench") or str(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench"))[-1])
        counts = {"vendors": self.made._count(8000), "projects": self.made.projects}
        for work, text in statements.SMALL.items():
            script = self.scratch / "small.sql"
            script.write_text(text.format(**counts))
            for clients in (1, 8, 64):
                for engine in (self.postgres, self.tieout):
                    with tempfile.TemporaryDirectory(dir=self.scratch) as logs:
                        command = [pgbench, "-n", "-M", "prepared", "-f", str(script), "-c", str(clients), "-j", "2", "-T",
                                   str(self.options.seconds), "-l", "--log-prefix", f"{logs}/log"]
                        run = subprocess.run(command, env=engine.environment(), capture_output=True, text=True, check=False)
                        if run.returncode:
                            self.report.differences.append(f"small: {work}")
                            self.report.write(f"small: {work}", engine.name, clients=clients, failed=run.stderr[-600:])
                            continue
                        lines = (line.split() for log in pathlib.Path(logs).iterdir() for line in log.read_text().splitlines())
                        times = sorted(int(fields[2]) / 1000 for fields in lines)
                    told = run.stdout.partition("tps = ")[2].split()
                    rate = float(told[0]) if told else len(times) / self.options.seconds
                    place = lambda share: round(times[min(len(times) - 1, int(len(times) * share))], 2)
                    self.report.write(f"small: {work}", engine.name, clients=clients, p50_ms=place(0.5), p99_ms=place(0.99),
                                      statements_a_second=round(rate))

    def night(self):
        """The next days, each with its own changes, into each engine; then all of them must hold the same."""
        seconds, processor, again = ({engine.name: [] for engine in self.all} for _ in range(3))
        peaks = {}
        for engine in self.all:
            engine.look(None)
            engine.forget_peak()
        self.postgres.run("; ".join(f"create materialized view head.found_{name} as {statements.check(name, HEAD)}" for name in statements.CHECKS))
        for number, day in enumerate(self.nights):
            turn = number % 3
            before, changes_before = (engines.folder_bytes(self.tieout.warehouse, part) for part in ("", "changes"))
            for engine in self.all[turn:] + self.all[:turn]:
                used, began = engine.seconds(), time.perf_counter()
                own = engine.night(day)
                seconds[engine.name].append(time.perf_counter() - began)
                processor[engine.name].append(own[0] if own else engine.seconds() - used)
                peaks[engine.name] = own[1] if own else engine.peak()
            grown = engines.folder_bytes(self.tieout.warehouse) - before
            changes = engines.folder_bytes(self.tieout.warehouse, "changes") - changes_before
            self.report.write(f"storage: the night to {day}, with whole tables that vacuum drops", "tieout", bytes=grown)
            self.report.write(f"storage: the night to {day}, what is kept for ever", "tieout", bytes=changes)
            self.report.write(f"storage: the night to {day} as a full copy", "files", bytes=engines.folder_bytes(self.data / str(day)))
            for engine, text in ((self.postgres, "; ".join(f"refresh materialized view head.found_{name}" for name in statements.CHECKS)),
                                 (self.tieout, "select * from recon.summary")):
                began = time.perf_counter()
                engine.run(text)
                again[engine.name].append(time.perf_counter() - began)
        whole = f"storage: the {len(self.days) + len(self.nights)} days"
        self.report.write(whole, "tieout", bytes=engines.folder_bytes(self.tieout.warehouse))
        self.tieout.vacuum()
        self.report.write(f"{whole}, after vacuum", "tieout", bytes=engines.folder_bytes(self.tieout.warehouse))
        for engine in self.all:
            self.report.times("W8 a night's rows", engine.name, seconds[engine.name], processor[engine.name], peaks[engine.name])
        for name, of in (("PostgreSQL", "five views refreshed"), ("tieout", "first summary read, worked out by the commit")):
            self.report.times("W1 stored: after a night", name, again[name], [0], of=of)
        for table in self.tables:
            self.whole("W8 a night's rows", table, self.nights[-1])

    def close(self):
        for engine in getattr(self, "all", []):
            engine.close()
        if not self.options.keep:
            shutil.rmtree(self.scratch, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1, help="1 is 1.7 million rows on the last day (default)")
    parser.add_argument("--months", type=int, default=2, help="month-ends of the trend, each a commit (default 2)")
    parser.add_argument("--nights", type=int, default=firm.NIGHTS, help="nights that are loaded (default 3)")
    parser.add_argument("--repetitions", type=int, default=5, help="interleaved repetitions (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each run of small statements takes (default 5)")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("target/peers"), help="where everything is made")
    parser.add_argument("--keep", action="store_true", help="keep the loaded engines' files")
    parser.add_argument("--works", default="checks,stored,trend,matching,job_cost,export,clients,night", help="what is asked, in this order")
    options = parser.parse_args()
    options.folder, options.binary = options.folder.resolve(), os.environ["TIEOUT_BINARY"]
    comparison = Comparison(options)
    try:
        comparison.load()
        for work in options.works.split(","):
            getattr(comparison, work)()
    finally:
        comparison.close()
    comparison.report.table()
    if comparison.report.differences:
        raise SystemExit(f"answers differ: {', '.join(dict.fromkeys(comparison.report.differences))}; see {comparison.report.path}")
    print("\nall answers are the same")


if __name__ == "__main__":
    main()
