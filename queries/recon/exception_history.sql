-- title:    Exceptions over time
-- question: When did each disagreement open, close and open again?
-- grain:    one row per episode: an exception's life from opening to closing
-- columns:
--   check_id             the check
--   check_version        its version; a new version starts a new life
--   exception_key        stable key, from record ids
--   episode              1, 2, … of this key
--   entity               what it is about
--   project_id           PM's record id of the project; null = firm level
--   project_number       the number people use
--   label                what people call it
--   record_owner         the side that is right by the ownership matrix
--   fix_side             the side that must act
--   cause                as last known
--   opened_commit        the first commit in which it was open (in flight before that does not count)
--   opened_at            when that commit was made, UTC
--   closed_commit        the first commit without it; null while open
--   closed_at            when that commit was made, UTC
--   is_reopened          it had been closed before
--   reopened_count       how often this key was opened again, in all
--   days_open            whole days from opened_at to closed_at, or to the commit read
--   largest_amount       largest amount at risk in its life
--   last_amount          amount at risk at its end
--   currency             of the amounts
--   is_waived            waived at its end

with stretches as (

    select
        *,
        lag(until_commit) over (partition by check_id, check_version, exception_key order by from_commit) as ended_before
    from recon.exception_intervals

),

-- A life ends where no stretch follows at once; the next stretch of that key, if any, begins another.
lived as (

    select
        *,
        sum(case when ended_before = from_commit then 0 else 1 end) over (
            partition by check_id, check_version, exception_key
            order by from_commit
            rows between unbounded preceding and current row
        ) as life
    from stretches

),

lives as (

    select
        check_id,
        check_version,
        exception_key,
        life,
        last_value(entity order by from_commit) as entity,
        last_value(project_id order by from_commit) as project_id,
        last_value(project_number order by from_commit) as project_number,
        last_value(label order by from_commit) as label,
        last_value(record_owner order by from_commit) as record_owner,
        last_value(fix_side order by from_commit) as fix_side,
        last_value(cause order by from_commit) as cause,
        last_value(state order by from_commit) as last_state,
        min(case when state <> 'in_flight' then from_commit end) as opened_commit,
        case when count(*) = count(until_commit) then max(until_commit) end as closed_commit,
        max(amount_at_risk) as largest_amount,
        last_value(amount_at_risk order by from_commit) as last_amount,
        last_value(currency order by from_commit) as currency
    from lived
    group by check_id, check_version, exception_key, life

),

-- What was only in flight was no disagreement, so it does not number the episodes either.
episodes as (

    select
        lives.*,
        row_number() over (partition by check_id, check_version, exception_key order by life) as episode,
        count(*) over (partition by check_id, check_version, exception_key) as episode_count
    from lives
    where opened_commit is not null

)

select
    episodes.check_id,
    episodes.check_version,
    episodes.exception_key,
    cast(episodes.episode as bigint) as episode,
    episodes.entity,
    episodes.project_id,
    episodes.project_number,
    episodes.label,
    episodes.record_owner,
    episodes.fix_side,
    episodes.cause,
    episodes.opened_commit,
    opening.committed_at as opened_at,
    episodes.closed_commit,
    closing.committed_at as closed_at,
    episodes.episode > 1 as is_reopened,
    episodes.episode_count - 1 as reopened_count,
    (to_unixtime(coalesce(closing.committed_at, clock.committed_at)) - to_unixtime(opening.committed_at)) / 86400 as days_open,
    episodes.largest_amount,
    episodes.last_amount,
    episodes.currency,
    episodes.last_state = 'waived' as is_waived
from episodes
inner join meta.commits as opening on opening.commit_number = episodes.opened_commit
left join meta.commits as closing on closing.commit_number = episodes.closed_commit
cross join meta.clock
