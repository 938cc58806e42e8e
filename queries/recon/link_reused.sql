-- title:    Links that pointed elsewhere before
-- check:    R3
-- entity:   commitments
-- scope:    project
-- by_entity: vendors, customers, projects, commitments, change_orders, owner_invoices, vendor_invoices
-- fix_side: pm
-- version:  2
-- risk:     the amount of the record that stores the id
-- question: Which links rest on an id that meant another record before, and join two records of different names?
-- grain:    one row per record with such an id: vendors, customers, projects, commitments, change orders, invoices
-- requires: pm.*.linked_id|erp.*.linked_id
-- fix:      Look at both records. If they are one, give them one number or name; else store the right id.
-- columns:
--   side               pm or erp: the side that stores the id
--   reason             pointed_elsewhere: the record stored another id; held_by_another: another record stored this id
--   stored_id          the id as stored
--   partner_id         the record of the other side that it is linked to
--   former_id          pointed_elsewhere: what it was linked to; held_by_another: the record that was linked there
--   moved_commit       the commit that first shows the change

-- A firm that corrects a wrong link leaves two records that call themselves the same; a document entered anew leaves none
-- behind. Neither is told.
with records as (

    select entity, side, record_id, label, normalize_number(number) as number_key, normalize_number(reference) as reference_key,
        normalize_name(label) as name_key
    from shared.linkable_records
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')

),

links as (

    select entity, 'pm' as side, pm_id as record_id, erp_id as partner_id from link.pairs
    union
    select entity, 'erp' as side, erp_id as record_id, pm_id as partner_id from link.pairs

),

-- One bill split in two has two partners: it is enough that one of them calls itself the same.
unlike as (

    select own.entity, own.side, own.record_id, min(partners.record_id) as partner_id, min(partners.label) as partner_label
    from links
    inner join records as own on own.entity = links.entity and own.side = links.side and own.record_id = links.record_id
    inner join records as partners on
        partners.entity = links.entity and
        partners.side <> links.side and
        partners.record_id = links.partner_id
    group by own.entity, own.side, own.record_id
    having not bool_or(
        coalesce(own.name_key = partners.name_key, false) or
        coalesce(own.number_key in (partners.number_key, partners.reference_key), false) or
        coalesce(own.reference_key = partners.number_key, false)
    )

),

doubtful as (

    select ids.*, unlike.partner_id, coalesce(unlike.partner_label, unlike.partner_id) as partner_label,
        formerly.reason, formerly.former_id, formerly.moved_commit
    from link.stored_ids as ids
    inner join unlike on unlike.entity = ids.entity and unlike.side = ids.side and unlike.record_id = ids.record_id
    inner join link.former_ids as formerly on
        formerly.entity = ids.entity and formerly.side = ids.side and formerly.record_id = ids.record_id

)

select
    'R3:' || doubtful.entity || ':' || doubtful.side || ':' || doubtful.record_id as exception_key,
    doubtful.project_id,
    projects.number as project_number,
    case when doubtful.side = 'pm' then doubtful.record_id else doubtful.partner_id end as pm_id,
    case when doubtful.side = 'erp' then doubtful.record_id else doubtful.partner_id end as erp_id,
    doubtful.label,
    replace(trim(trailing 's' from doubtful.entity), '_', ' ') || ' ' || doubtful.label ||
        case doubtful.side when 'pm' then ' in PM' else ' in the ERP' end || ' is linked to ' || doubtful.partner_label ||
        ' by the id ' || doubtful.stored_id ||
        case doubtful.reason
            when 'pointed_elsewhere' then '; before, it was linked to ' || doubtful.former_id
            else ', which ' || doubtful.former_id || ' held before'
        end as detail,
    case when doubtful.side = 'pm' then doubtful.stored_id end as pm_value,
    case when doubtful.side = 'erp' then doubtful.stored_id end as erp_value,
    cast(abs(coalesce(doubtful.amount, 0)) as decimal(18,2)) as amount_at_risk,
    coalesce(doubtful.currency, setting_text('currency')) as currency,
    commits.observed_at as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    doubtful.entity,
    doubtful.side as fix_side,
    doubtful.side,
    doubtful.reason,
    doubtful.stored_id,
    doubtful.partner_id,
    doubtful.former_id,
    doubtful.moved_commit
from doubtful
left join meta.commits as commits on commits.commit_number = doubtful.moved_commit
left join pm.projects on projects.record_id = doubtful.project_id
