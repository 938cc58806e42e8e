-- title: ProjectSight prime contracts
-- grain: one contract with an owner that is not deleted
-- statuses: Draft, New, In Preparation, Pending, Pending Approval, Pending Owner Approval, Open, Submitted, Sent, Issued, In Review,
-- statuses: Under Review, Revise and Resubmit, In Progress, On Hold, Awaiting Approval, Out for Signature, Approved, Approved as Noted,
-- statuses: Approved with Comments, Executed, Fully Executed, Signed, Paid, Rejected, Declined, Denied, Disapproved, Not Approved, Void,
-- statuses: Voided, Cancelled, Canceled, Withdrawn, Superseded, Closed, Complete, Completed, Final, Finalized, Terminated, No Charge
-- Prime contracts and subcontracts are one list: the type tells them apart where it is plain, else IsCommit. What counts in the budget
-- is approved whatever its state is called, unless that says that it is over or only begun.

with -- The firm itself stands on every contract, on either side; who stands there most often is the firm. Where that is a tie: it gives
-- subcontracts and takes prime contracts.
own_companies as (

    select portfolio_id, company_id
    from (
        select portfolio_id, company_id,
            row_number() over (partition by portfolio_id order by count(*) desc, sum(expected) desc, company_id) as place
        from (
            select portfolio_id, from_company_id as company_id, case when is_commit then 1 else 0 end as expected from source.contracts
            union all
            select portfolio_id, to_company_id as company_id, case when is_commit then 0 else 1 end as expected from source.contracts
        ) as sides
        where company_id is not null
        group by portfolio_id, company_id
    ) as ranked
    where place = 1

),

contracts as (

    select contracts.*, firm_status('contracts', status) as firm_status, lower(trim(status)) as word,
        coalesce(
            case
                when regexp_like(lower(type), 'prime|owner') and not regexp_like(lower(type), 'sub|purchase') then false
                when regexp_like(lower(type), 'sub|purchase') and not regexp_like(lower(type), 'prime|owner') then true
            end,
            is_commit, true
        ) as is_commitment
    from source.contracts as contracts
    where not coalesce(deleted, false)

)

select
    contracts.portfolio_id || '|' || contracts.project_id || '|C' || contracts.contract_id as record_id,
    nullif(trim(contracts.erp_code), '') as linked_id,
    contracts.when_created as created_at,
    contracts.last_modified as updated_at,
    contracts.created_by,
    nullif(trim(contracts.erp_integration_status), '') as sync_status,
    nullif(trim(contracts.erp_status_message), '') as sync_error,
    nullif(trim(contracts.contract_number), '') as number,
    contracts.portfolio_id || '|' || contracts.project_id as project_id,
    contracts.portfolio_id || '|V' || case
        when own.company_id = contracts.from_company_id then contracts.to_company_id else contracts.from_company_id
    end as customer_id,
    coalesce(contracts.firm_status, case
        when contracts.word in ('void', 'voided', 'cancelled', 'canceled', 'withdrawn', 'superseded') then 'void'
        when contracts.word in ('rejected', 'declined', 'denied', 'disapproved', 'not approved') then 'rejected'
        when contracts.word in ('closed', 'complete', 'completed', 'final', 'finalized', 'terminated', 'no charge') then 'closed'
        when contracts.word in ('draft', 'new', 'in preparation') then 'draft'
        when contracts.word in ('approved', 'approved as noted', 'approved with comments', 'executed', 'fully executed', 'signed', 'paid')
            then 'approved'
        when contracts.is_approved_for_budget then 'approved'
        else 'pending'
    end) as approval_status,
    contracts.original_value as original_amount,
    contracts.change_value as approved_change_amount,
    contracts.revised_value as revised_amount,
    contracts.general_retain_percent as retainage_percent
from contracts
left join own_companies as own on own.portfolio_id = contracts.portfolio_id
where not contracts.is_commitment
