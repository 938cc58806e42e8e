-- title:    What stood of each exception, from commit to commit
-- question: Which exceptions were there at a commit, as the newest evaluation of that commit says?
-- grain:    one row per exception, version of its check and stretch of commits in which nothing about it changed
-- columns:
--   check_id             the check
--   check_version        its version
--   exception_key        stable key, from record ids
--   entity               what it is about
--   project_id           PM's record id of the project; null = firm level
--   project_number       the number people use
--   label                what people call it
--   state                in_flight, open or waived
--   amount_at_risk       as the check's header defines it
--   currency             of the amount
--   occurred_at          when it came to be, UTC
--   first_seen_at        the first commit that saw it, UTC
--   record_owner         the side that is right by the ownership matrix
--   fix_side             the side that must act
--   cause                where the data makes it knowable, else unknown
--   explained_by         key of the exception that this one follows from
--   from_commit          the first commit in which it stood like this
--   until_commit         the first commit in which it did not any more; null = it still stands
--   evaluated_commit     the recheck that says so; null = what was evaluated at the time
-- A recheck says what stood between the first commit that it judged again and itself; of two the later one is believed.
-- Before it, and after it, what was evaluated at the time stands.

with versions as (

    select
        *,
        _commit as from_commit,
        lead(_commit) over (partition by check_id, check_version, exception_key order by _commit) as until_commit
    from history.tieout_exceptions

),

rechecks as (

    select
        check_id,
        _commit as recheck_commit,
        min(commit_number) as since_commit
    from system.check_runs
    where
        project_id is null and
        _commit > commit_number
    group by check_id, _commit

),

followed as (

    select
        *,
        min(since_commit) over (
            partition by check_id order by recheck_commit rows between 1 following and unbounded following
        ) as next_since,
        min(since_commit) over (partition by check_id) as first_since
    from rechecks

),

-- Where the evaluation of the time stands: before the first recheck, and from each recheck to the next one's beginning.
original as (

    select
        checks.check_id,
        cast(0 as bigint) as begins,
        min(followed.first_since) as ends
    from (select distinct check_id from versions) as checks
    left join followed on followed.check_id = checks.check_id
    group by checks.check_id

    union all

    select check_id, recheck_commit as begins, next_since as ends
    from followed
    where
        next_since is null or
        next_since > recheck_commit

),

repeated as (

    select check_id, recheck_commit, since_commit as begins, least(recheck_commit, coalesce(next_since, recheck_commit)) as ends
    from followed

),

-- A recheck's last interval ends with the recheck itself, where the evaluation of the time goes on.
stretches as (

    select
        versions.check_id, versions.check_version, versions.exception_key, versions.entity, versions.project_id,
        versions.project_number, versions.label, versions.state, versions.amount_at_risk, versions.currency,
        versions.occurred_at, versions.first_seen_at, versions.record_owner, versions.fix_side, versions.cause,
        versions.explained_by,
        greatest(versions.from_commit, original.begins) as from_commit,
        least(coalesce(versions.until_commit, original.ends), coalesce(original.ends, versions.until_commit)) as until_commit,
        cast(null as bigint) as evaluated_commit
    from versions
    inner join original on original.check_id = versions.check_id
    where versions._op <> 'D'

    union all

    select
        rechecked.check_id, rechecked.check_version, rechecked.exception_key, rechecked.entity, rechecked.project_id,
        rechecked.project_number, rechecked.label, rechecked.state, rechecked.amount_at_risk, rechecked.currency,
        rechecked.occurred_at, rechecked.first_seen_at, rechecked.record_owner, rechecked.fix_side, rechecked.cause,
        rechecked.explained_by,
        greatest(rechecked.from_commit, repeated.begins) as from_commit,
        least(coalesce(rechecked.until_commit, repeated.ends), repeated.ends) as until_commit,
        rechecked._commit as evaluated_commit
    from system.rechecked as rechecked
    inner join repeated on
        repeated.check_id = rechecked.check_id and
        repeated.recheck_commit = rechecked._commit

)

select *
from stretches
where
    until_commit is null or
    until_commit > from_commit
