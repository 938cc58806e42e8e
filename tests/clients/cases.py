"""What the client tests share: where the server is, and cases that are counted.

Every file is run as `python FILE PORT`; it prints a line a case and ends with 1 at the first that differs.
"""

import sys
import traceback

HOST, PORT, USER, PASSWORD, DATABASE = "127.0.0.1", int(sys.argv[1]), "demo", "demo", "tieout"
DSN = f"host={HOST} port={PORT} user={USER} password={PASSWORD} dbname={DATABASE}"

# Every exception, in an order that every client can ask for.
EXCEPTIONS = "select * from recon.exceptions order by check_id, exception_key"

passed = 0


def case(client, name):
    """Runs a case at once; the first that fails ends the run."""

    def run(body):
        global passed
        try:
            told = body()
        except BaseException as error:
            traceback.print_exc()
            print(f"FAIL {client}: {name}: {error!r}")
            print(f"{passed} passed, 1 failed")
            sys.exit(1)
        passed += 1
        print(f"ok   {client}: {name}" + ("" if told is None else f" ({told})"))
        return body

    return run


def same(expected, found):
    assert expected == found, f"expected {expected!r}, found {found!r}"


def done():
    print(f"{passed} passed, 0 failed")
