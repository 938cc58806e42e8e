-- title:    What each side has paid on a vendor invoice
-- question: How far is each PM pay application paid, in PM and in the ERP?
-- grain:    one row per PM vendor invoice, void and rejected ones apart
-- columns:
--   pm_id              PM's record_id
--   group_id           the link's group; null without an ERP record
--   unit_id            what can be compared as one: the group, else the invoice; commitment:<record id> where payments name no invoice
--   payable_amount     net and tax in PM, as in link.payment_allotments
--   paid_amount        paid in PM by payments that name the invoice
--   released_amount    paid in PM on its own invoice of a release, known by the ERP's check: no difference to be found there
--   allocated_amount   PM payments of the commitment that name no invoice, allotted to its oldest invoices first
--   erp_document_count ERP documents of the group, void and rejected ones apart
--   erp_payable_amount net and tax of the group in the ERP
--   erp_paid_amount    paid on the group in the ERP, as far as PM could show it: where PM tells only that an invoice is paid, and no amount
--                      (is_paid), a part is nothing, and what is paid on both sides is what PM says
--   erp_settled_amount paid on the group in the ERP, whatever PM can show
--   erp_paid_at        the ERP's last payment on the group
--   erp_discount_amount cash discount that the ERP's payments took on the group: settled without money
--   currency_differs   the sides use different currencies: their amounts say nothing to each other
--   erp_verdict        paid, partly, unpaid or no_record

with pairs as materialized (

    select
        group_id,
        pm_id,
        erp_id,
        row_number() over (partition by erp_id order by pm_id) as erp_turn
    from link.vendor_invoices

),

discounts as (

    select applications.invoice_id, sum(applications.discount) as amount
    from erp.payment_applications as applications
    inner join erp.payments on payments.record_id = applications.payment_id
    where payments.status = 'paid'
    group by applications.invoice_id

),

erp_groups as (

    select
        pairs.group_id,
        count(vendor_invoices.record_id) as document_count,
        sum(vendor_invoices.net_amount + coalesce(vendor_invoices.tax_amount, 0)) as payable_amount,
        sum(coalesce(vendor_invoices.paid_amount, 0)) as paid_amount,
        max(vendor_invoices.paid_at) as paid_at,
        sum(coalesce(discounts.amount, 0)) as discount_amount,
        min(vendor_invoices.currency) as currency
    from pairs
    inner join erp.vendor_invoices on
        vendor_invoices.record_id = pairs.erp_id and
        pairs.erp_turn = 1 and
        coalesce(vendor_invoices.approval_status, 'pending') not in ('void', 'rejected')
    left join discounts on discounts.invoice_id = vendor_invoices.record_id
    group by pairs.group_id

),

groups as (

    select distinct pm_id, group_id from pairs

),

-- PM's invoices of a group that tell no amount, only whether they are paid.
told as (

    select
        groups.group_id,
        count(vendor_invoices.is_paid) > 0 as is_dated,
        bool_and(vendor_invoices.is_paid) = bool_or(vendor_invoices.is_paid) as is_unanimous,
        sum(allotments.paid_amount + allotments.allocated_amount + allotments.released_amount) as paid_amount
    from link.payment_allotments as allotments
    inner join groups on groups.pm_id = allotments.pm_id
    inner join pm.vendor_invoices on vendor_invoices.record_id = allotments.pm_id
    group by groups.group_id

),

judged as (

    select
        erp_groups.*,
        case
            when erp_groups.paid_amount <= setting_decimal('amount_tolerance') then 'unpaid'
            -- An unknown payable cannot be called paid in full.
            when erp_groups.payable_amount - erp_groups.paid_amount - erp_groups.discount_amount <= setting_decimal('amount_tolerance') then 'paid'
            else 'partly'
        end as verdict
    from erp_groups

),

compared as (

    select
        judged.*,
        case
            when told.group_id is null or not told.is_dated or judged.verdict = 'unpaid' then judged.paid_amount
            when told.paid_amount > 0 and (told.is_unanimous or judged.verdict = 'partly') then told.paid_amount
            when judged.verdict = 'partly' then 0
            else judged.paid_amount
        end as comparable_amount
    from judged
    left join told on told.group_id = judged.group_id

)

select
    allotments.pm_id,
    groups.group_id,
    case
        when max(allotments.allocated_amount) over (partition by allotments.commitment_id) > 0 then 'commitment:' || allotments.commitment_id
        else coalesce(groups.group_id, allotments.pm_id)
    end as unit_id,
    allotments.payable_amount,
    allotments.paid_amount,
    allotments.released_amount,
    allotments.allocated_amount,
    coalesce(compared.document_count, 0) as erp_document_count,
    cast(compared.payable_amount as decimal(18,2)) as erp_payable_amount,
    cast(compared.comparable_amount as decimal(18,2)) as erp_paid_amount,
    cast(compared.paid_amount as decimal(18,2)) as erp_settled_amount,
    compared.paid_at as erp_paid_at,
    cast(coalesce(compared.discount_amount, 0) as decimal(18,2)) as erp_discount_amount,
    coalesce(allotments.currency <> compared.currency, false) as currency_differs,
    coalesce(compared.verdict, 'no_record') as erp_verdict
from link.payment_allotments as allotments
left join groups on groups.pm_id = allotments.pm_id
left join compared on compared.group_id = groups.group_id
