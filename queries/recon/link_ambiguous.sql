-- title:    Records that could be linked to more than one
-- check:    R2
-- entity:   commitments
-- scope:    project
-- by_entity: vendors, customers, projects, commitments, change_orders, owner_invoices, vendor_invoices
-- fix_side: pm
-- version:  2
-- risk:     the amount of the record
-- question: Which records does nothing link because two would fit?
-- grain:    one row per record: vendors, customers, projects, commitments, change orders, invoices
-- fix:      Store the right id, or add the pair to the crosswalk.
-- columns:
--   side               pm or erp: the side of the record
--   reason             id_stored_twice, id_names_several or several_candidates
--   stored_id          the id as stored; null for several_candidates
--   candidate_count    records that would fit

with companies as (

    select * from shared.unlinked_companies where nullif(trim(linked_id), '') is null

),

company_keys as (

    select entity, side, source, record_id, name as label, 'tax_id' as basis, tax_id_hash as key from companies where tax_id_hash is not null
    union all
    select entity, side, source, record_id, name as label, 'name' as basis, name_key as key from companies where name_key is not null

),

-- Numbers in the linked project or vendor, by the rule of the link views: kinds and contracts may not contradict each other.
-- Two companies may share both name and tax id: one pair.
pairs as (

    select pm_side.entity, pm_side.record_id, pm_side.project_id, pm_side.label, pm_side.amount, pm_side.currency,
        erp_side.record_id as erp_id, '' as connections
    from link.pm_unlinked_numbers as pm_side
    inner join link.erp_unlinked_numbers as erp_side on
        erp_side.entity = pm_side.entity and erp_side.parent = pm_side.parent and erp_side.name = pm_side.number_key and
        coalesce(erp_side.kind, pm_side.kind, '') = coalesce(pm_side.kind, erp_side.kind, '') and
        coalesce(erp_side.contract_id, pm_side.contract_id, '') = coalesce(pm_side.contract_id, erp_side.contract_id, '')

    union

    select pm_side.entity, pm_side.record_id, cast(null as varchar) as project_id, pm_side.label,
        cast(null as decimal(18,2)) as amount, cast(null as varchar) as currency, erp_side.record_id as erp_id,
        coalesce(pm_side.source, '') || ' ' || coalesce(erp_side.source, '') as connections
    from company_keys as pm_side
    inner join company_keys as erp_side on
        erp_side.entity = pm_side.entity and erp_side.basis = pm_side.basis and erp_side.key = pm_side.key
    where pm_side.side = 'pm' and erp_side.side = 'erp'

),

candidates as (

    -- A company has a counterpart in each connection.
    select *, greatest(
            count(*) over (partition by entity, record_id, connections), count(*) over (partition by entity, erp_id, connections)
        ) as candidate_count
    from pairs

),

found as (

    select
        entity, side, record_id, project_id, label, stored_id, amount, currency,
        case when target_count > 1 then 'id_names_several' else 'id_stored_twice' end as reason,
        greatest(target_count, holder_count) as candidate_count
    from link.stored_ids
    where not is_linked and not is_void and target_count > 0 and (target_count > 1 or holder_count > 1)

    union all

    select
        entity, 'pm' as side, record_id,
        min(project_id) as project_id, min(coalesce(label, record_id)) as label, cast(null as varchar) as stored_id,
        min(amount) as amount, min(currency) as currency,
        'several_candidates' as reason,
        max(candidate_count) as candidate_count
    from candidates
    where candidate_count > 1
    group by entity, record_id

)

select
    'R2:' || found.entity || ':' || found.side || ':' || found.record_id as exception_key,
    found.project_id,
    projects.number as project_number,
    case when found.side = 'pm' then found.record_id end as pm_id,
    case when found.side = 'erp' then found.record_id end as erp_id,
    found.label,
    replace(trim(trailing 's' from found.entity), '_', ' ') || ' ' || found.label || case found.side when 'pm' then ' in PM' else ' in the ERP' end ||
        case found.reason
            when 'several_candidates' then ' has ' || cast(found.candidate_count as varchar) || ' candidates by its ' ||
                case when found.entity in ('vendors', 'customers') then 'name or tax id' else 'number' end
            when 'id_names_several' then ' stores the id ' || found.stored_id || ', which names several records'
            else ' stores the id ' || found.stored_id || ', as others do'
        end as detail,
    case when found.side = 'pm' then found.stored_id end as pm_value,
    case when found.side = 'erp' then found.stored_id end as erp_value,
    cast(abs(coalesce(found.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(found.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    -- Invoices are the other way round: I1 and I2 follow from this.
    case
        when found.side = 'erp' then null
        when found.entity = 'vendors' then 'V1:' || found.record_id
        when found.entity = 'projects' then 'J1:' || found.record_id
        when found.entity = 'commitments' then 'M1:' || found.record_id
        when found.entity = 'change_orders' then 'O1:' || found.record_id
    end as explained_by,
    found.entity,
    found.side as fix_side,
    found.side, found.reason, found.stored_id, found.candidate_count
from found
left join pm.projects on projects.record_id = found.project_id
