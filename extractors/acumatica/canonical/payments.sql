-- title: Acumatica disbursements and receipts
-- grain: one payment document; the second document that voids one is not a payment of its own
-- statuses: On Hold, Pending Approval, Rejected, Pending Print, Printed, Balanced, Open, Closed, Voided, Reserved
-- Keys carry the ledger: AP and AR may both have a Payment 000123.
-- A voided check stands as two documents, +100.00 and −100.00 with the same reference. The first is kept as void, dated by the second,
-- so that the pair adds up to nothing paid. The number alone does not tell: prepayments are numbered with the bills.
--   Payment 000002 200.00, Prepayment 000002 33.00, Voided Payment 000002 −200.00 → only the payment is void.
-- A void that is not released yet has voided nothing.
-- A prepayment that stands among the bills too is a request: the check that pays it moves the money, and what it is applied to later
-- is paid by that check.
--   Prepayment 000007 1,000.00 among bills and checks, paid by Payment 000008 → one payment of 1,000.00.
-- Open and Closed are released; a printed or balanced check has not left the books yet: pending.
-- Adjustments, memos and write-offs are shown on the payment screens, but move no money: left out. A refund is money back: negative.

with documents as (

    select 'AP' as ledger, 'disbursement' as direction, trim(type) as type, lower(trim(type)) as kind,
        trim(reference_nbr) as reference_nbr, lower(trim(status)) as status, vendor as party, payment_method, payment_ref,
        application_date, payment_amount, currency_id, last_modified_date_time
    from source.checks

    union all

    select 'AR' as ledger, 'receipt' as direction, trim(type) as type, lower(trim(type)) as kind,
        trim(reference_nbr) as reference_nbr, lower(trim(status)) as status, customer_id as party, payment_method, payment_ref,
        application_date, payment_amount, currency_id, last_modified_date_time
    from source.payments

),

requests as (

    select trim(reference_nbr) as reference_nbr
    from source.bills
    where lower(trim(type)) in ('prepayment', 'ppm')

),

voids as (

    select ledger, reference_nbr, abs(payment_amount) as amount, max(application_date) as voided_on
    from documents
    where
        (kind like 'void%' or kind in ('vck', 'rpm', 'vrf')) and
        coalesce(status, '') not in (
            'on hold', 'pending approval', 'rejected', 'pending print', 'printed', 'balanced', 'reserved', 'pending processing'
        )
    group by 1, 2, 3

),

payments as (

    select documents.*, voids.reference_nbr as void_nbr, voids.voided_on
    from documents
    left join voids
        on documents.ledger = voids.ledger and documents.reference_nbr = voids.reference_nbr and
        abs(documents.payment_amount) = voids.amount
    left anti join requests
        on documents.ledger = 'AP' and documents.kind in ('prepayment', 'ppm') and documents.reference_nbr = requests.reference_nbr
    where
        not (kind like 'void%' or kind in ('vck', 'rpm', 'vrf')) and
        not (
            kind like '%adj%' or kind like '%memo%' or kind like '%write%off%' or kind like '% wo' or
            kind in ('adr', 'acr', 'crm', 'smb', 'smc')
        )

)

select
    concat(ledger, '|', type, '|', reference_nbr) as record_id,
    last_modified_date_time as updated_at,
    direction,
    coalesce(nullif(trim(payment_ref), ''), reference_nbr) as number,
    nullif(trim(payment_method), '') as method,
    application_date as payment_date,
    case when kind in ('refund', 'ref', 'customer refund', 'vendor refund') then -payment_amount else payment_amount end as amount,
    case when ledger = 'AP' then nullif(trim(party), '') end as vendor_id,
    case when ledger = 'AR' then nullif(trim(party), '') end as customer_id,
    case
        when void_nbr is not null or status in ('voided', 'rejected') then 'void'
        when status in ('open', 'closed') then 'paid'
        else 'pending'
    end as status,
    end_of_day(voided_on) as voided_at,
    nullif(trim(currency_id), '') as currency
from payments
