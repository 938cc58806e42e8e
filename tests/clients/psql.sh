#!/usr/bin/env bash
# psql: every backslash command that looks at something, and those that run a query in a way of their own. Argument: port.
set -euo pipefail
export PGPASSWORD=demo PSQL_PAGER=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
query() { timeout 60 psql "host=127.0.0.1 port=$port user=demo dbname=tieout" -X -v ON_ERROR_STOP=1 "$@"; }
port=$1
checks=$(cat "$(dirname "$0")"/../../queries/recon/*.sql | grep -c '^-- check:')

# case NAME WANTED ARGUMENTS…: runs psql, and looks for an extended regular expression in what it prints.
case_() {
    local name=$1 wanted=$2
    shift 2
    if query "$@" >"$scratch/out" 2>&1 && ! grep -q ERROR "$scratch/out" && grep -qE -- "$wanted" "$scratch/out"; then
        passed=$((passed + 1))
        echo "ok   psql: $name"
    else
        cat "$scratch/out"
        echo "FAIL psql: $name: no $wanted"
        echo "$passed passed, 1 failed"
        exit 1
    fi
}

# The same with what psql reads from a file: there a backslash command may follow a query.
typed() {
    local name=$1 wanted=$2
    shift 2
    printf '%s\n' "$@" >"$scratch/in"
    case_ "$name" "$wanted" -f "$scratch/in"
}

case_ '\l' 'tieout' -c '\l'
case_ '\dn+' 'what disagrees' -c '\dn+'
case_ '\dt+' 'procore.*vendors' -c '\dt+ procore.*'
case_ '\dv+' 'recon.*exceptions' -c '\dv+'
case_ '\d' 'exceptions' -c '\d'
case_ '\d of a table: its keys' '"vendors_pkey" PRIMARY KEY, btree \(_key\)' -c '\d procore.vendors'
case_ '\d of a table: its other key' '"purchase_orders_type_order_nbr_key" UNIQUE CONSTRAINT, btree \(type, order_nbr\)' -c '\d acumatica.purchase_orders'
case_ '\d of a table: its references' 'FOREIGN KEY \(project_id\) REFERENCES procore.projects\(id\) NOT VALID' -c '\d procore.work_order_contracts'
case_ '\d of a table: who refers to it' 'TABLE "?procore.prime_contracts"? CONSTRAINT' -c '\d procore.projects'
case_ '\d+ of a view' 'the check that found it' -c '\d+ recon.exceptions'
case_ '\df' 'List of functions' -c '\df'
case_ '\du' 'demo' -c '\du'
case_ '\dp' 'exceptions' -c '\dp recon.*'
case_ '\dT' 'List of data types' -c '\dT'
case_ '\di' 'vendors_pkey' -c '\di procore.*'
case_ '\d of an index' 'primary key, btree, for table "procore.vendors"' -c '\d procore.vendors_pkey'
case_ '\l+' 'tieout .*UTF8' -c '\l+'
case_ '\dg+' 'demo' -c '\dg+'
case_ '\db' 'pg_default' -c '\db'
case_ '\dconfig' 'search_path' -c '\dconfig *'
case_ '\dT *' 'numeric' -c '\dT *'
case_ '\dA' 'btree' -c '\dA'
for command in '\dt' '\ds' '\dm' '\dE' '\dx' '\do' '\dL' '\dC' '\dc' '\dO' '\dd' '\ddp' '\des' '\det' '\dew' '\drds' '\dF' '\dP' '\dRp' '\dX' '\dy' '\dfa' '\da'; do
    case_ "$command" '[(][0-9]+ rows?[)]|^Did not find any' -c "$command"
done
case_ '\z' 'exceptions' -c '\z pm.*' -c '\z recon.exc*'
case_ '\conninfo, \encoding' 'UTF8' -c '\conninfo' -c '\encoding'
case_ '\timing' 'Time: [0-9.]+ ms' -c '\timing' -c 'select 1'
case_ '\sv' 'CREATE OR REPLACE VIEW recon.exceptions' -c '\sv recon.exceptions'
case_ '\x' 'check_id +\| V1' -c '\x' -c "select check_id from recon.summary where check_id = 'V1'"
typed '\gdesc' 'amount_at_risk \| numeric\(18,2\)' 'select check_id, amount_at_risk from recon.exceptions \gdesc'
typed '\crosstabview' 'check_id' 'select check_id, severity, count(*) from recon.exceptions group by 1, 2 order by 1, 2 \crosstabview'
typed '\gset' "nine $checks" 'select count(*) as n from recon.summary \gset' '\echo nine :n'
typed '\gexec' 'V1' "select format('select check_id from recon.summary where check_id = %L', 'V1') \\gexec"
case_ '\copy' 'COPY [1-9]' -c "\\copy (select * from recon.exceptions) to '$scratch/out.csv' csv header"
case_ '\copy as text' '^B1 +B1$' -c "\\copy (select check_id, check_id as again from recon.summary where check_id = 'B1') to stdout delimiter ' '"
case_ '\copy of a table' 'COPY [1-9]' -c "\\copy pm.vendors (name, city) to '$scratch/out.txt'"
case_ '\copy to a program' '^ +[1-9][0-9]*$|^[1-9][0-9]*$' -c "\\copy (select name from pm.vendors) to program 'wc -l'"
case_ 'prepare and execute' 'V1' -c "prepare p as select check_id from recon.summary where check_id = \$1; execute p('V1')"
case_ 'explain' 'Scan|Exec|plan' -c 'explain select * from recon.summary'
case_ 'a cursor' '\(2 rows\)' -c "begin; declare c cursor for select check_id from recon.summary; fetch 2 from c; commit"
case_ 'rows in portions' "\\($checks rows\\)" -v FETCH_COUNT=2 -c 'select 1' -c '\set FETCH_COUNT 2' -c 'select check_id from recon.summary'
case_ 'completion of names' '[1-9]' -Atc "select count(*) from pg_catalog.pg_class c where c.relkind in ('r', 'v') and substring(pg_catalog.quote_ident(c.relname), 1, 4) = 'exce'"

# What psql shows of an error: its code, the line with a mark below the place, the hint.
told() {
    local name=$1 line
    (query -v VERBOSITY=verbose -c "$2" || true) >"$scratch/out" 2>&1
    shift 2
    for line in "$@"; do
        grep -qE -- "$line" "$scratch/out" || { cat "$scratch/out"; echo "FAIL psql: $name: no $line"; echo "$passed passed, 1 failed"; exit 1; }
    done
    passed=$((passed + 1))
    echo "ok   psql: $name"
}
told 'a syntax error is marked' $'select name\nfrom pm.vendors,, pm.projects' 'ERROR:  42601: syntax error' '^LINE 2: from pm.vendors,, pm.projects$' '^ {24}\^$'
told 'the table that was meant' 'select * from pm.vendorz' 'ERROR:  42P01: ' '^HINT:  did you mean pm.vendors\?$'
told 'an undefined column' 'select nope from recon.summary' 'ERROR:  42703: '

# \watch runs again and again until it is interrupted.
echo 'select 1 as again \watch 1' >"$scratch/in"
(timeout -s INT 4 psql "host=127.0.0.1 port=$port user=demo dbname=tieout" -X -f "$scratch/in" || true) >"$scratch/out" 2>&1
[ "$(grep -c again "$scratch/out")" -ge 2 ] || { cat "$scratch/out"; echo "FAIL psql: \\watch"; echo "$passed passed, 1 failed"; exit 1; }
# Ctrl-C ends the work, and the session goes on.
cat >"$scratch/cancel.sql" <<'SQL'
select count(*) from generate_series(1, 1000000) a (x), generate_series(1, 1000000) b (y) where x + y < 0;
select 'still here';
SQL
timeout -s INT 2 psql "host=127.0.0.1 port=$port user=demo dbname=tieout" -X -At -c "$(head -1 "$scratch/cancel.sql")" >"$scratch/out" 2>&1 &
wait $! || true
grep -q 'canceling statement due to user request' "$scratch/out" || { cat "$scratch/out"; echo "FAIL psql: Ctrl-C"; echo "$passed passed, 1 failed"; exit 1; }
passed=$((passed + 2))
echo "$passed passed, 0 failed"
