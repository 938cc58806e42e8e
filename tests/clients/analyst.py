"""What analysts type: each query of postgres.txt answers what PostgreSQL 15 answered, letter by letter, alone and inside of others."""

import pathlib

import psycopg

from cases import DSN, case, done, same

NULL = "∅"
connection = psycopg.connect(DSN, autocommit=True)


def listed():
    """Queries with their rows: a query stands at the start of a line, its rows are indented below it."""
    found = []
    for line in pathlib.Path(__file__).with_name("postgres.txt").read_text().splitlines():
        if line.startswith("    "):
            found[-1][1].append(line[4:])
        elif line and not line.startswith("#"):
            found.append((line, []))
    return found


def rows(query):
    result = connection.pgconn.exec_(query.encode())
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, (query, result.error_message.decode())
    value = lambda row, column: NULL if (text := result.get_value(row, column)) is None else text.decode()
    return [" | ".join(value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)]


QUERIES = listed()
assert len(QUERIES) > 300, len(QUERIES)


@case("analyst", "as PostgreSQL answers")
def _():
    different = [(query, expected, found) for query, expected in QUERIES if (found := rows(query)) != expected]
    same([], different)
    return len(QUERIES)


@case("analyst", "the same in a query around it")
def _():
    for query, expected in QUERIES:
        if query.startswith("select ") and " order by " not in query:
            same(sorted(expected), sorted(rows(f"with told as ({query}) select * from told")))


done()
