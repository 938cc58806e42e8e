#!/usr/bin/env bash
# pgbench in each of its modes: with variables, several clients, pipelines; what it is refused. Arguments: port, pgbench.
set -euo pipefail
port=$1
pgbench=$2
export PGPASSWORD=demo
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0

fail() {
    cat "$scratch/out"
    echo "FAIL pgbench: $1"
    echo "$passed passed, 1 failed"
    exit 1
}

# run NAME WANTED MODE ARGUMENTS…: runs what is in $scratch/in, and looks for an extended regular expression in what pgbench prints.
run() {
    local name=$1 wanted=$2 mode=$3
    shift 3
    timeout 120 "$pgbench" -h 127.0.0.1 -p "$port" -U demo -n -M "$mode" -f "$scratch/in" "$@" tieout >"$scratch/out" 2>&1 || true
    grep -qE -- "$wanted" "$scratch/out" || fail "$mode: $name: no $wanted"
    passed=$((passed + 1))
    echo "ok   pgbench $mode: $name"
}
done_all() { echo "number of transactions actually processed: $1/$1"; }

for mode in simple extended prepared; do
    cat >"$scratch/in" <<'SQL'
\set most random(1, 50)
select check_id, amount_at_risk, first_seen_at from recon.exceptions order by check_id, exception_key limit :most;
select check_id, sum(amount_at_risk) from recon.exceptions where age_days >= :most group by check_id;
select :most::int + 1;
SQL
    run 'queries with variables, four clients' "$(done_all 80)" "$mode" -c 4 -j 2 -t 20

    cat >"$scratch/in" <<'SQL'
begin isolation level repeatable read read only;
select count(*) as found, max(check_id) as latest from recon.summary \gset
select 1 / (case when count(*) = :found then 1 else 0 end) from recon.summary;
end;
SQL
    run 'a transaction, and what it read in its next query' "$(done_all 10)" "$mode" -t 10

    echo "select 1 / (count(*) - 120000) from generate_series(1, 120000) as s (n);" >"$scratch/in"
    run 'a division by zero at the end of a large range ends the client' 'division by zero' "$mode" -t 1

    echo 'select n from generate_series(1, 120000) as s (n);' >"$scratch/in"
    run 'a large result' "$(done_all 2)" "$mode" -t 2

    echo "insert into recon.summary (check_id) values ('x');" >"$scratch/in"
    run 'a write is refused' 'cannot execute INSERT: the server is read only' "$mode" -t 1

    echo 'select 1;' >"$scratch/in"
    run 'a new connection for each transaction' "$(done_all 30)" "$mode" -C -t 30
done

for mode in extended prepared; do
    cat >"$scratch/in" <<'SQL'
\startpipeline
select 1;
select check_id from recon.summary;
select 2;
\endpipeline
SQL
    run 'a pipeline' "$(done_all 10)" "$mode" -t 10
done

if timeout 60 "$pgbench" -h 127.0.0.1 -p "$port" -U demo -i tieout >"$scratch/out" 2>&1 || ! grep -q 'the server is read only' "$scratch/out"; then
    fail 'its own tables are not made'
fi
passed=$((passed + 1))
echo "$passed passed, 0 failed"
