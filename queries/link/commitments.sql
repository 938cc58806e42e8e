-- title:    Commitments linked across the two systems
-- question: Which PM subcontract or purchase order is which ERP one, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- columns:
--   group_id           what is compared as one: the PM record_id, the smallest if there are several
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number
--   score              worth of the method: 1.00 stored by somebody, less where concluded

with pm_records as (

    select
        commitments.record_id as pm_id,
        project_links.erp_id as project_id,
        commitments.kind,
        commitments.number_key,
        rank() over (
            partition by commitments.project_id, commitments.number_key
            order by case when commitments.approval_status in ('void', 'rejected') then 1 else 0 end
        ) as standing,
        nullif(upper(trim(commitments.linked_id)), '') as stored_id,
        upper(trim(commitments.number)) as number
    from pm.commitments
    left join link.projects as project_links on project_links.pm_id = commitments.project_id

),

erp_records as (

    select
        commitments.record_id as erp_id,
        commitments.project_id,
        commitments.kind,
        commitments.number_key,
        rank() over (
            partition by commitments.project_id, commitments.number_key
            order by case when commitments.approval_status in ('void', 'rejected') then 1 else 0 end
        ) as standing,
        nullif(upper(trim(commitments.linked_id)), '') as stored_id,
        upper(trim(commitments.number)) as number
    from erp.commitments

),

-- The firm's own file: the only way to an intended many. A line that names no record links nothing.
crosswalk_pairs as (

    select distinct
        pm_records.pm_id,
        erp_records.erp_id
    from link.crosswalk
    inner join pm_records on pm_records.pm_id = trim(crosswalk.pm_id)
    inner join erp_records on erp_records.erp_id = trim(crosswalk.erp_id)
    where crosswalk.entity = 'commitments'

),

-- A stored id means the record id, else the number, else the last component: '000123' is 'Bill|000123' too.
erp_names as (

    select erp_records.*, upper(trim(erp_id)) as called, 1 as preference from erp_records
    union all
    select erp_records.*, number as called, 2 as preference from erp_records
    union all
    select erp_records.*, upper(trim(split_part(erp_id, '|', -1))) as called, 2 as preference from erp_records

),

pm_names as (

    select pm_records.*, upper(trim(pm_id)) as called, 1 as preference from pm_records
    union all
    select pm_records.*, number as called, 2 as preference from pm_records

),

stored as (

    select
        pm_records.pm_id,
        erp_names.erp_id,
        'pm' as stored_by,
        pm_records.pm_id as holder,
        case
            when erp_names.preference = 1 then 1
            when pm_records.project_id = erp_names.project_id then 2
            else 3
        end as preference
    from pm_records
    inner join erp_names on erp_names.called = pm_records.stored_id

    union all

    select
        pm_names.pm_id,
        erp_records.erp_id,
        'erp' as stored_by,
        erp_records.erp_id as holder,
        case
            when pm_names.preference = 1 then 1
            when pm_names.project_id = erp_records.project_id then 2
            else 3
        end as preference
    from erp_records
    inner join pm_names on pm_names.called = erp_records.stored_id

),

stored_ranked as (

    select
        stored.*,
        rank() over (partition by stored_by, holder order by preference) as choice
    from stored

),

explicit_pairs as (

    select
        pm_id,
        erp_id,
        count(distinct case when stored_by = 'pm' then erp_id end) as stored_in_pm
    from stored_ranked
    where choice = 1
    group by pm_id, erp_id

),

-- A stored id that points at nothing does not fall through to a guess: it is an orphan, not a missing number.
pm_guessable as (

    select * from pm_records where stored_id is null

),

erp_guessable as (

    select * from erp_records where stored_id is null

),

-- A number issued again after a void competes only with the living: void SC-7 and new SC-7 are one candidate.
number_pairs as (

    select distinct
        pm_guessable.pm_id,
        erp_guessable.erp_id
    from pm_guessable
    inner join erp_guessable
        on pm_guessable.project_id = erp_guessable.project_id and
        pm_guessable.number_key = erp_guessable.number_key
    where
        pm_guessable.standing = 1 and
        erp_guessable.standing = 1 and
        (pm_guessable.kind = erp_guessable.kind or
            pm_guessable.kind is null or erp_guessable.kind is null)

),

candidates as (

    select pm_id, erp_id, 1 as step, 'crosswalk' as method, '1.00' as score, 0 as stored_in_pm from crosswalk_pairs
    union all
    select pm_id, erp_id, 2 as step, 'explicit' as method, '1.00' as score, stored_in_pm from explicit_pairs
    union all
    select pm_id, erp_id, 3 as step, 'number' as method, '0.95' as score, 0 as stored_in_pm from number_pairs

),

first_steps as (

    select
        candidates.*,
        min(step) over (partition by pm_id) as pm_first,
        min(step) over (partition by erp_id) as erp_first
    from candidates

),

-- More than one candidate links nothing: a false link hides a real exception.
counted as (

    select
        first_steps.*,
        count(*) over (partition by pm_id) as erp_count,
        count(*) over (partition by erp_id) as pm_count
    from first_steps
    where
        step = pm_first and
        step = erp_first

),

pairs as (

    select
        counted.*,
        min(pm_id) over (partition by erp_id) as smallest_of_erp
    from counted
    where
        step = 1 or
        (erp_count = 1 and pm_count = 1)

)

select
    min(smallest_of_erp) over (partition by pm_id) as group_id,
    pm_id,
    erp_id,
    method,
    cast(score as decimal(3,2)) as score
from pairs
