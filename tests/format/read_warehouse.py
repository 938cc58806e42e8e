#!/usr/bin/env python3
"""An independent reader, written from docs/warehouse-format.md alone: verifies a warehouse and folds its tables.

usage: read_warehouse.py WAREHOUSE     prints the head and, per table, rows and sums as of the newest commit; exit code 1 on any
difference. Needs pyarrow.
"""

import hashlib
import json
import pathlib
import sys
import tomllib
from decimal import Decimal

import pyarrow
import pyarrow.parquet as parquet

IDENTITY = ["_key", "_scope", "_hash", "_commit"]
problems = []


def check(holds, *what):
    if not holds:
        problems.append(" ".join(str(word) for word in what))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def moment(text):
    """A moment that compares: seconds as text, then the fraction, of which trailing zeros may be left out."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def chain(root):
    """The manifests, each with the hash of its bytes, after the checks of "To verify", 1."""
    identity = json.loads((root / "tieout.json").read_bytes())
    check(identity["format"] in (1, 2, 3), "tieout.json: format", identity["format"])
    commits, digests, parent, before = [], [], "", None
    for number, path in enumerate(sorted((root / "commits").glob("*.json")), start=1):
        data = path.read_bytes()
        commit = json.loads(data)
        check(path.name == f"{number:020}.json" and commit["number"] == number, path, "is not commit", number)
        check(commit["parent"] == parent, path, "names another parent")
        check(commit["warehouse_id"] == identity["warehouse_id"], path, "is of another warehouse")
        check(before is None or before < moment(commit["committed_at"]), path, "does not come after the one before")
        parent, before = sha256(data), moment(commit["committed_at"])
        commits.append(commit)
        digests.append(parent)
        for mark in (commit[kind] for kind in ("pin", "signoff") if kind in commit):
            check(mark["commit"] < number, path, "marks a later commit")
            check(digests[mark["commit"] - 1] == mark["manifest"], path, "marks another manifest of", mark["commit"])
    return commits, digests


def check_checkpoints(root, digests):
    """That they are what their names say, and repeat the chain. Gives back how many there are."""
    paths = sorted((root / "checkpoints").glob("*.jsonl.zst"))
    for path in paths:
        number, digest = path.name.removesuffix(".jsonl.zst").split("-")
        check(sha256(path.read_bytes()) == digest, path, "has another hash than its name")
        with pyarrow.CompressedInputStream(str(path), "zstd") as stream:
            lines = stream.read().split(b"\n")
        check(lines.pop() == b"" and len(lines) == int(number), path, "has", len(lines), "manifests")
        check([sha256(line) for line in lines] == digests[: len(lines)], path, "has other manifests than the chain")
    return len(paths)


def files(found):
    """Files as format 2 and later list them, or the one file of format 1."""
    return [found] if isinstance(found, dict) else (found or [])


def standing_states(commits):
    """(source, table, commit) to the files of its state; none if it was dropped."""
    states = {}
    for commit in commits:
        for table in commit["tables"]:
            if files(table.get("state")):
                states[table["source"], table["table"], commit["number"]] = files(table["state"])
        for dropped in commit.get("dropped_states", []):
            states[dropped["source"], dropped["table"], dropped["commit"]] = []
        for rebuilt in commit.get("rebuilt_states", []):
            states[rebuilt["source"], rebuilt["table"], rebuilt["commit"]] = rebuilt["state"]
    return states


def check_files(root, commits, states):
    """ "To verify", 2. """
    named = [file for commit in commits for table in commit["tables"] for file in files(table.get("changes"))]
    named += [file for found in states.values() for file in found]
    for file in named:
        data = (root / file["path"]).read_bytes()
        check(len(data) == file["bytes"] and sha256(data) == file["sha256"], file["path"], "is not what was recorded")
    for name in {commit["definitions"] for commit in commits}:
        check(sha256((root / "definitions" / f"{name}.json").read_bytes()) == name, "definitions", name)
    newest = max(int(path.name[:20]) for path in (root / "data").rglob("*.parquet"))
    check(newest <= len(commits) + 1, "the end of the chain was cut off before commit", newest)


def read(root, found):
    """The rows of some files, in order."""
    rows = []
    for file in found:
        table = parquet.read_table(root / file["path"])
        check(table.num_rows == file["rows"], file["path"], "has", table.num_rows, "rows, recorded are", file["rows"])
        rows += table.to_pylist()
    return rows


def totals(rows, columns):
    """The exact sum of each decimal column, as decimal text."""
    scales = {name: int(kind[:-1].split(",")[1]) for name, kind in columns if kind.startswith("decimal(")}
    sums = {name: sum((row[name] for row in rows if row[name] is not None), Decimal(0)) for name in scales}
    return {name: f"{sums[name]:.{scale}f}" for name, scale in scales.items()}


def check_ascending(rows, what):
    keys = [row["_key"].encode() for row in rows]
    check(all(one < other for one, other in zip(keys, keys[1:])), what, "is not ascending by key")


class Table:
    """A table's life, commit by commit, folded from its changes alone and held against each state that is there."""

    def __init__(self, root, name, states, only_grows):
        self.root, self.name, self.states, self.only_grows = root, name, states, only_grows
        self.rows, self.columns, self.fingerprint, self.is_anew, self.before = {}, [], None, False, 0

    def enter(self, commit, table):
        number = commit["number"]
        what = f"{'.'.join(self.name)} in commit {number}:"
        if table.get("columns"):
            self.columns = table["columns"]
        text = "\x1e".join(f"{name}\x1f{kind}" for name, kind in self.columns)
        check(sha256(text.encode()) == table["schema_fingerprint"], what, "another fingerprint than its columns have")
        # A manifest that does not say so shows it by other columns.
        other = self.fingerprint not in (None, table["schema_fingerprint"])
        self.is_anew |= table.get("projected_anew", False) or other
        self.fingerprint = table["schema_fingerprint"]
        changes = read(self.root, files(table.get("changes")))
        counts = {op: sum(row["_op"] == op for row in changes) for op in "IUD"}
        said = {"I": table["inserted"], "U": table["updated"], "D": table["deleted"]}
        check(counts == said, what, "counts", counts, "said are", said)
        if self.only_grows:
            check(table["rows"] == len(changes), what, "rows")
            check(totals(changes, self.columns) == table.get("control_totals", {}), what, "control totals")
            self.rows.update({(number, place): row for place, row in enumerate(changes)})
            return
        check_ascending(changes, what)
        said = table.get("changes_totals", {})
        is_told = changes and (said or commit["format"] > 1)
        check(not is_told or totals(changes, self.columns) == said, what, "changes totals")
        for row in changes:
            op, key = row.pop("_op"), row["_key"]
            check((op == "I") == (key not in self.rows), what, op, "on", key)
            check(op == "P" or row["_commit"] == number, what, key, "was changed by", row["_commit"])
            if op == "D":
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        check(len(self.rows) == table["rows"], what, len(self.rows), "rows, said are", table["rows"])
        self.compare(number, what, table)

    def compare(self, number, what, table):
        state = self.states.get((*self.name, number))
        if not state:
            return
        found = read(self.root, state)
        check_ascending(found, what)
        check(totals(found, self.columns) == table.get("control_totals", {}), what, "control totals")
        expected = [self.rows[key] for key in sorted(self.rows, key=str.encode)]
        if self.is_anew:
            expected, found = ([{name: row[name] for name in IDENTITY} for row in rows] for rows in (expected, found))
        check(expected == found, what, "its state is not what its changes come to")


class Number(str):
    """A number as the source wrote it."""


def canonical(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        fields = sorted(value.items(), key=lambda field: field[0].encode())
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{canonical(field)}" for name, field in fields) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def remove(value, steps):
    """Takes out what a path matches: `*` any one step, `**` any number of them; lists are stepped through."""
    if isinstance(value, list):
        for item in value:
            remove(item, steps)
    elif isinstance(value, dict):
        step, rest = steps[0], steps[1:]
        if step == "**":
            remove(value, rest)
            for field in value.values():
                remove(field, steps)
        for name in [name for name in value if step in ("*", name)]:
            if rest:
                remove(value[name], rest)
            else:
                del value[name]


def check_content_hashes(root, commit, tables):
    """The content hash of every record of the sources. Gives back how many there were."""
    definitions = json.loads((root / "definitions" / f"{commit['definitions']}.json").read_bytes())
    checked = 0
    for run in commit["runs"]:
        manifest = tomllib.loads(definitions[f"extractors/{run['system']}/manifest.toml"])
        for declared in manifest["table"]:
            table = tables.get((run["source"], declared["name"]))
            ignore = declared.get("ignore", manifest.get("defaults", {}).get("ignore", []))
            for row in table.rows.values() if table else ():
                record = json.loads(row["_raw"], parse_int=Number, parse_float=Number)
                for path in ignore:
                    remove(record, path.split("."))
                found = sha256(canonical(record).encode())
                check(found == row["_hash"], run["source"], declared["name"], row["_key"], "has another content hash")
                checked += 1
    return checked


def main():
    root = pathlib.Path(sys.argv[1])
    commits, digests = chain(root)
    checkpoints = check_checkpoints(root, digests)
    states = standing_states(commits)
    check_files(root, commits, states)
    tables = {}
    for commit in commits:
        for table in commit["tables"]:
            name = (table["source"], table["table"])
            if name not in tables:
                had_state = any((source, kind) == name for source, kind, _ in states)
                had_changes = any(
                    files(it.get("changes")) for c in commits for it in c["tables"] if (it["source"], it["table"]) == name
                )
                tables[name] = Table(root, name, states, had_changes and not had_state)
            tables[name].enter(commit, table)
    newest = next((commit for commit in reversed(commits) if commit["runs"]), None)
    hashed = check_content_hashes(root, newest, tables) if newest else 0
    check(hashed > 0 or not newest, "no content hash was checked")
    for problem in problems[:20]:
        print(f"differs: {problem}", file=sys.stderr)
    if len(problems) > 20:
        print(f"and {len(problems) - 20} more", file=sys.stderr)
    for name, table in sorted(tables.items()):
        print(f"{'.'.join(name)} {len(table.rows)}")
    print(f"content hashes: {hashed}")
    print(f"checkpoints: {checkpoints}")
    print(f"marks: {sum('pin' in commit or 'signoff' in commit for commit in commits)}")
    print(f"head: {len(commits)}:{digests[-1]}")
    sys.exit(1 if problems else 0)


main()
