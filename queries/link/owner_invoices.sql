-- title:    Owner invoices linked across the two systems
-- question: Which PM application for payment is which ERP receivable, and how do we know?
-- grain:    one row per linked pair; rows that share group_id are compared as one
-- columns:
--   group_id           what is compared as one: the PM record_id, the smallest if there are several
--   pm_id              PM's record_id
--   erp_id             ERP's record_id
--   method             the first method that hit: crosswalk, explicit, number (invoice number, else application number)
--   score              worth of the method: 1.00 stored by somebody, less where concluded

with pm_records as (

    select
        owner_invoices.record_id as pm_id,
        owner_invoices.kind,
        project_links.erp_id as project_id,
        coalesce(contract_links.erp_id, case when owner_invoices.contract_id is not null then '?' end) as contract_id,
        owner_invoices.number_key,
        owner_invoices.application_number,
        rank() over (
            partition by owner_invoices.project_id, owner_invoices.contract_id, owner_invoices.kind,
                owner_invoices.number_key
            order by case when owner_invoices.approval_status in ('void', 'rejected') then 1 else 0 end
        ) as standing,
        rank() over (
            partition by owner_invoices.project_id, owner_invoices.contract_id, owner_invoices.kind,
                owner_invoices.application_number
            order by case when owner_invoices.approval_status in ('void', 'rejected') then 1 else 0 end
        ) as application_standing,
        nullif(upper(trim(owner_invoices.linked_id)), '') as stored_id,
        upper(trim(owner_invoices.number)) as number
    from pm.owner_invoices
    left join link.projects as project_links on project_links.pm_id = owner_invoices.project_id
    left join link.prime_contracts as contract_links on contract_links.pm_id = owner_invoices.contract_id

),

erp_records as (

    select
        owner_invoices.record_id as erp_id,
        owner_invoices.kind,
        owner_invoices.project_id,
        case
            when linked_contracts.erp_id is not null then owner_invoices.contract_id
            when owner_invoices.contract_id is not null then '?'
        end as contract_id,
        owner_invoices.number_key,
        owner_invoices.application_number,
        rank() over (
            partition by owner_invoices.project_id, owner_invoices.contract_id, owner_invoices.kind,
                owner_invoices.number_key
            order by case when owner_invoices.approval_status in ('void', 'rejected') then 1 else 0 end
        ) as standing,
        rank() over (
            partition by owner_invoices.project_id, owner_invoices.contract_id, owner_invoices.kind,
                owner_invoices.application_number
            order by case when owner_invoices.approval_status in ('void', 'rejected') then 1 else 0 end
        ) as application_standing,
        nullif(upper(trim(owner_invoices.linked_id)), '') as stored_id,
        upper(trim(owner_invoices.number)) as number
    from erp.owner_invoices
    left join (select distinct erp_id from link.prime_contracts) as linked_contracts
        on linked_contracts.erp_id = owner_invoices.contract_id

),

-- The firm's own file: the only way to an intended many. A line that names no record links nothing.
crosswalk_pairs as (

    select distinct
        pm_records.pm_id,
        erp_records.erp_id
    from link.crosswalk
    inner join pm_records on pm_records.pm_id = trim(crosswalk.pm_id)
    inner join erp_records on erp_records.erp_id = trim(crosswalk.erp_id)
    where crosswalk.entity = 'owner_invoices'

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

-- In the linked project; contracts agree if linked, if a side knows none, or if neither is linked ('?').
-- A number issued again after a void competes only with the living.
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
            pm_guessable.kind is null or erp_guessable.kind is null) and
        (pm_guessable.contract_id = erp_guessable.contract_id or
            pm_guessable.contract_id is null or erp_guessable.contract_id is null)

),

application_pairs as (

    select distinct
        pm_guessable.pm_id,
        erp_guessable.erp_id
    from pm_guessable
    inner join erp_guessable
        on pm_guessable.project_id = erp_guessable.project_id and
        pm_guessable.application_number = erp_guessable.application_number
    where
        pm_guessable.application_standing = 1 and
        erp_guessable.application_standing = 1 and
        (pm_guessable.kind = erp_guessable.kind or
            pm_guessable.kind is null or erp_guessable.kind is null) and
        (pm_guessable.contract_id = erp_guessable.contract_id or
            pm_guessable.contract_id is null or erp_guessable.contract_id is null)

),

candidates as (

    select pm_id, erp_id, 1 as step, 'crosswalk' as method, '1.00' as score, 0 as stored_in_pm from crosswalk_pairs
    union all
    select pm_id, erp_id, 2 as step, 'explicit' as method, '1.00' as score, stored_in_pm from explicit_pairs
    union all
    select pm_id, erp_id, 3 as step, 'number' as method, '0.95' as score, 0 as stored_in_pm from number_pairs
    union all
    select pm_id, erp_id, 4 as step, 'number' as method, '0.95' as score, 0 as stored_in_pm from application_pairs

),

first_steps as (

    select
        candidates.*,
        min(step) over (partition by pm_id) as pm_first,
        min(step) over (partition by erp_id) as erp_first
    from candidates

),

-- Several ERP documents may name one PM record (a bill split in two): they are one group. One PM record that names
-- several, two PM records behind one document, and two documents of one number are ambiguous and link nothing.
counted as (

    select
        first_steps.*,
        sum(stored_in_pm) over (partition by pm_id) as erp_count,
        count(*) over (partition by pm_id) as number_count,
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
        (step = 2 and erp_count <= 1 and pm_count = 1) or
        (step > 2 and number_count = 1 and pm_count = 1)

)

select
    min(smallest_of_erp) over (partition by pm_id) as group_id,
    pm_id,
    erp_id,
    method,
    cast(score as decimal(3,2)) as score
from pairs
