-- title: Sage Intacct change documents and project change orders
-- grain: one change document on one contract, or one project change order
-- statuses: draft, submitted, partiallyApproved, declined, pending, approved, inProgress, partiallyConverted, converted, closed, posted
-- A change document names the document that it changes on its lines; one that is made of another document (a vendor invoice) names its
-- source there, and is no change. `pending` and later states are in the contract's posted changes.
-- A project change order is the owner's: in the contract's price once it is posted. Before that the status of its requests says whether
-- it was turned down. Neither can be released apart from being approved.
-- Approved on the day of the internal reference, else of the external one, which count to their end.

with parts as (

    select
        document, coalesce(related_document, primary_document) as contract_id,
        sum(extended_price_in_txn_currency) as amount
    from source.document_lines
    where nullif(trim(source_document), '') is null and coalesce(related_document, primary_document) <> document
    group by 1, 2

),

changes as (

    select
        concat('document|', documents.key, '|', parts.contract_id) as record_id, 'commitment' as kind, parts.contract_id, parts.amount,
        documents.document_number as number, documents.external_reference, documents.project, documents.memo as title,
        coalesce(firm_status('documents', documents.status), case lower(trim(documents.status))
            when 'draft' then 'draft'
            when 'declined' then 'rejected'
            when 'pending' then 'approved'
            when 'approved' then 'approved'
            when 'active' then 'approved'
            when 'partiallyconverted' then 'approved'
            when 'converted' then 'approved'
            when 'closed' then 'approved'
            else 'pending'
        end) as approval_status,
        documents.approved_on, documents.signed_off_on, documents.approved_by, cast(null as bigint) as schedule_impact_days,
        documents.txn_currency as currency, documents.created_date_time, documents.modified_date_time
    from parts
    inner join source.documents as documents on documents.key = parts.document
    left anti join source.primary_documents as contracts on contracts.document = parts.document

    union all

    select
        concat('project|', orders.key) as record_id, 'prime' as kind, orders.contract as contract_id, orders.total_price as amount,
        orders.id as number, orders.external_reference, orders.project, orders.description as title,
        coalesce(firm_status('project_change_orders', orders.request_status), firm_status('project_change_orders', orders.status), case
            when lower(trim(orders.status)) = 'posted' then 'approved'
            when lower(trim(orders.request_status)) in ('void', 'voided', 'canceled', 'cancelled') then 'void'
            when lower(trim(orders.request_status)) in ('rejected', 'declined', 'denied') then 'rejected'
            when lower(trim(orders.status)) = 'draft' and lower(trim(orders.request_status)) like 'draft%' then 'draft'
            else 'pending'
        end) as approval_status,
        orders.approved_on, orders.signed_off_on, orders.approved_by,
        try_cast(trim(orders.schedule_impact) as bigint) as schedule_impact_days,
        projects.project_currency as currency, orders.created_date_time, orders.modified_date_time
    from source.project_change_orders as orders
    left join source.projects as projects on projects.id = orders.project

)

select
    record_id,
    created_date_time as created_at,
    modified_date_time as updated_at,
    kind,
    trim(number) as number,
    normalize_number(trim(number)) as number_key,
    nullif(trim(external_reference), '') as external_reference,
    nullif(trim(project), '') as project_id,
    contract_id,
    nullif(trim(title), '') as title,
    approval_status,
    case when approval_status in ('approved', 'closed') then end_of_day(coalesce(approved_on, signed_off_on)) end as approved_at,
    nullif(trim(approved_by), '') as approved_by,
    amount,
    schedule_impact_days,
    nullif(trim(currency), '') as currency
from changes
