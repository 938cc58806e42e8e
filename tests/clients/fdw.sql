-- A PostgreSQL that reads tieout through postgres_fdw. Run by psql with -v port=… against a server of one's own.
\set ON_ERROR_STOP on
create extension postgres_fdw;
create server tieout foreign data wrapper postgres_fdw
    options (host '127.0.0.1', port :'port', dbname 'tieout', fetch_size '3', use_remote_estimate :'estimate');
create user mapping for current_user server tieout options (user 'demo', password 'demo');
create schema recon;
create schema pm;
import foreign schema recon from server tieout into recon;
import foreign schema pm limit to (vendors, commitments, projects) from server tieout into pm;

-- Rows, filters that are sent, joins that are sent, aggregates, a join with a table here.
create table facts as
select
    (select count(*) from recon.exceptions) as exceptions,
    (select count(*) from recon.exceptions where check_id = 'V1' and amount_at_risk > 0.01) as filtered,
    (select count(*) from recon.exceptions e join recon.summary s using (check_id)) as joined,
    (select sum(amount_at_risk) from recon.exceptions) as total,
    (select count(*) from pm.commitments c join pm.vendors v on v.source = c.source and v.record_id = c.vendor_id where v.name like '%a%') as wanted,
    (select count(*) from recon.exceptions where occurred_at < now() and label ilike '%e%' and severity in ('high', 'low', 'medium')) as worded;
create table mine (check_id text);
insert into mine values ('V1'), ('O1');
select count(*) from recon.exceptions join mine using (check_id);
prepare p (text) as select count(*) from recon.exceptions where check_id = $1;
execute p('V1');
analyze recon.exceptions;
select case when exceptions > 3 and joined = exceptions and filtered > 0 and total > 0 then 'facts hold' else 'facts differ: ' || facts::text end from facts;

-- Nothing can be written through it.
\set ON_ERROR_STOP off
insert into recon.summary (check_id) values ('x');
\if :ERROR
\echo refused
\endif
