-- title: Vista lines of invoices of vendors
-- grain: one line; for what was paid of its retainage one more
-- They add up to gross and retainage of vendor_invoices.sql.

with retainage_types as (

    select ap_co, ret_pay_type as pay_type from source.ap_companies where ret_pay_type is not null
    union
    select ap_co, ret_pay_type from source.pay_categories where ret_pay_type is not null

),

released as (

    select details.ap_co, details.mth, details.ap_trans, details.ap_line, sum(details.amount) as amount
    from source.ap_details as details
    inner join retainage_types on retainage_types.ap_co = details.ap_co and retainage_types.pay_type = details.pay_type
    where details.status in (3, 4)
    group by details.ap_co, details.mth, details.ap_trans, details.ap_line

),

lines as (

    select
        concat('AP|', headers.key_id) as invoice_id, concat('AP|', lines.key_id) as record_id, lines.phase_group, lines.phase, lines.jcc_type, lines.gl_acct,
        lines.gross_amt + case when upper(trim(lines.misc_yn)) = 'Y' then lines.misc_amt else 0.00 end as amount, lines.retainage
    from source.ap_lines as lines
    inner join source.ap_transactions as headers on headers.ap_co = lines.ap_co and headers.mth = lines.mth and headers.ap_trans = lines.ap_trans

    union all

    select concat('AP|', headers.key_id, '|release'), concat('AP|', lines.key_id, '|release'), lines.phase_group, lines.phase, lines.jcc_type,
        lines.gl_acct, 0.00, -released.amount
    from source.ap_lines as lines
    inner join source.ap_transactions as headers on headers.ap_co = lines.ap_co and headers.mth = lines.mth and headers.ap_trans = lines.ap_trans
    inner join released on
        released.ap_co = lines.ap_co and released.mth = lines.mth and released.ap_trans = lines.ap_trans and released.ap_line = lines.ap_line

    union all

    select concat('UI|', headers.key_id), concat('UI|', lines.key_id), lines.phase_group, lines.phase, lines.jcc_type, lines.gl_acct,
        lines.gross_amt + case when upper(trim(lines.misc_yn)) = 'Y' then lines.misc_amt else 0.00 end, lines.retainage
    from source.unapproved_lines as lines
    inner join source.unapproved_invoices as headers on
        headers.ap_co = lines.ap_co and headers.ui_mth = lines.ui_mth and headers.ui_seq = lines.ui_seq

)

select
    lines.record_id,
    lines.invoice_id,
    nullif(rtrim(regexp_replace(trim(lines.phase), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ '), '') as cost_code,
    coalesce(types.code, cast(lines.jcc_type as varchar)) as cost_type,
    rtrim(regexp_replace(trim(lines.gl_acct), ' *([^A-Za-z0-9 ]) *', '\1', 'g'), '-./ ') as gl_account,
    lines.amount,
    lines.retainage as retainage_amount
from lines
left join shared.cost_types as types on types.phase_group = lines.phase_group and types.cost_type = lines.jcc_type
