-- title:    Open disagreements of all checks
-- question: What is wrong now, since when, for how much, and who must fix it?
-- grain:    one row per exception
-- columns:
--   check_id           the check that found it
--   check_version      the check's version
--   exception_key      stable key, from record ids
--   entity             what it is about
--   project_id         PM's record id of the project (the ERP's where only there is one); null = firm level
--   project_number     the number people use
--   pm_id              PM's record id
--   erp_id             ERP's record id
--   label              what people call it
--   detail             one sentence with both values
--   pm_value           PM's value
--   erp_value          the ERP's value
--   amount_at_risk     as the check's header defines it
--   currency           of the amount
--   severity           high, medium or low, by amount and age
--   occurred_at        when it came to be, UTC
--   first_seen_at      the first commit that saw it, UTC
--   age_days           whole days from occurred_at to the commit's observed_at
--   record_owner       the side that is right by the ownership matrix
--   fix_side           the side that must act
--   cause              where the data makes it knowable, else unknown
--   explained_by       key of the exception that this one follows from
--   state              in_flight, open or waived
--   pm_observed_at     age of the PM data behind it, UTC
--   erp_observed_at    age of the ERP data behind it, UTC
--   is_carried         the check could not look again: carried on from an earlier commit
--   opened_commit      the commit that opened it

with latest_runs as (

    select *
    from recon.check_runs
    where is_latest

),

aged as (

    select
        exceptions.*,
        -- A future date (a posting dated ahead) has no age yet.
        greatest(
            (to_unixtime(clock.observed_at) - to_unixtime(coalesce(exceptions.occurred_at, exceptions.first_seen_at))) / 86400,
            0
        ) as age_days
    from system.exceptions as exceptions
    cross join meta.clock

)

select
    aged.check_id,
    aged.check_version,
    aged.exception_key,
    aged.entity,
    aged.project_id,
    aged.project_number,
    aged.pm_id,
    aged.erp_id,
    aged.label,
    aged.detail,
    aged.pm_value,
    aged.erp_value,
    aged.amount_at_risk,
    aged.currency,
    case
        when coalesce(aged.amount_at_risk, 0) >= setting_decimal('severity_high_amount') then 'high'
        when coalesce(aged.age_days, 0) >= setting_integer('severity_high_days') then 'high'
        when coalesce(aged.amount_at_risk, 0) >= setting_decimal('severity_medium_amount') then 'medium'
        when coalesce(aged.age_days, 0) >= setting_integer('severity_medium_days') then 'medium'
        else 'low'
    end as severity,
    aged.occurred_at,
    aged.first_seen_at,
    aged.age_days,
    aged.record_owner,
    aged.fix_side,
    aged.cause,
    aged.explained_by,
    aged.state,
    coalesce(project_runs.pm_observed_at, firm_runs.pm_observed_at) as pm_observed_at,
    coalesce(project_runs.erp_observed_at, firm_runs.erp_observed_at) as erp_observed_at,
    coalesce(project_runs.verdict, firm_runs.verdict, 'not_evaluated') = 'not_evaluated' as is_carried,
    aged.opened_commit
from aged
left join latest_runs as project_runs on
    project_runs.check_id = aged.check_id and
    project_runs.project_id = aged.project_id
left join latest_runs as firm_runs on
    firm_runs.check_id = aged.check_id and
    firm_runs.project_id is null
