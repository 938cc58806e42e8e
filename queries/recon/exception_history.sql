-- title:    Exceptions over time
-- question: When did each disagreement open, close and open again?
-- grain:    one row per episode: an exception's life from opening to closing
-- columns:
--   check_id             the check
--   check_version        its version; a new version starts a new life
--   exception_key        stable key, from record ids
--   episode              1, 2, … of this key
--   project_id           PM's record id of the project; null = firm level
--   project_number       the number people use
--   label                what people call it
--   opened_commit        the first commit in which it was open (in flight before that does not count)
--   opened_at            when that commit was made, UTC
--   closed_commit        the first commit without it; null while open
--   closed_at            when that commit was made, UTC
--   is_reopened          it had been closed before
--   days_open            whole days from opened_at to closed_at, or to the commit read
--   largest_amount       largest amount at risk in its life
--   last_amount          amount at risk at its end
--   currency             of the amounts

with versions as (

    select
        *,
        -- A deletion ends an episode; the next version of that key, if any, begins another.
        1 + coalesce(
            sum(case when _op = 'D' then 1 else 0 end) over (
                partition by check_id, check_version, exception_key
                order by _commit
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as life
    from history.tieout_exceptions

),

lives as (

    select
        check_id,
        check_version,
        exception_key,
        life,
        last_value(project_id order by _commit) as project_id,
        last_value(project_number order by _commit) as project_number,
        last_value(label order by _commit) as label,
        min(case when _op <> 'D' and state <> 'in_flight' then _commit end) as opened_commit,
        min(case when _op <> 'D' and state <> 'in_flight' then valid_from end) as opened_at,
        min(case when _op = 'D' then _commit end) as closed_commit,
        min(case when _op = 'D' then valid_from end) as closed_at,
        max(amount_at_risk) as largest_amount,
        last_value(amount_at_risk order by _commit) as last_amount,
        last_value(currency order by _commit) as currency
    from versions
    group by check_id, check_version, exception_key, life

),

-- What was only in flight was no disagreement, so it does not number the episodes either.
episodes as (

    select
        lives.*,
        row_number() over (partition by check_id, check_version, exception_key order by life) as episode
    from lives
    where opened_commit is not null

)

select
    episodes.check_id,
    episodes.check_version,
    episodes.exception_key,
    cast(episodes.episode as bigint) as episode,
    episodes.project_id,
    episodes.project_number,
    episodes.label,
    episodes.opened_commit,
    episodes.opened_at,
    episodes.closed_commit,
    episodes.closed_at,
    episodes.episode > 1 as is_reopened,
    (to_unixtime(coalesce(episodes.closed_at, clock.committed_at)) - to_unixtime(episodes.opened_at)) / 86400 as days_open,
    episodes.largest_amount,
    episodes.last_amount,
    episodes.currency
from episodes
cross join meta.clock
