-- title: CMiC subcontract change orders
-- grain: one row of a contract with a change code other than 000
-- kinds: commitment
-- Posted is approved; before that it is pending, unless the firm's own code says otherwise ([status.<source>.contracts]).
-- Change codes are CMiC's own sequence within a contract: change 003 is not PM's change order 3. So number_key is left out, and records
-- are linked by the id that PM stores or else by their amount within the contract (see link.change_orders).
-- Owner change orders have a list of their own, whose attributes are not published: this side has none of that kind.

with rows as (

    select
        *,
        coalesce(firm_status('contracts', scmst_status_code), case
            when scmst_post_date is null then 'pending'
            when scmst_close_date is not null then 'closed'
            else 'approved'
        end) as approval_status
    from source.contracts
    where coalesce(upper(trim(scmst_comp_code)), '') <> 'ZZ' and trim(scmst_chg_code) <> '000'

)

select
    concat(trim(scmst_comp_code), '|', trim(scmst_ven_code), '|', trim(scmst_cont_code), '|', trim(scmst_chg_code)) as record_id,
    scmst_iu_create_date as created_at,
    coalesce(scmst_iu_update_date, scmst_iu_create_date) as updated_at,
    'commitment' as kind,
    trim(scmst_chg_code) as number,
    trim(scmst_comp_code) || '|' || coalesce(nullif(trim(scmst_job_ctrl_code), ''), nullif(trim(scmst_job_code), '')) as project_id,
    concat(trim(scmst_comp_code), '|', trim(scmst_ven_code), '|', trim(scmst_cont_code)) as contract_id,
    coalesce(nullif(trim(scmst_name), ''), nullif(trim(scmst_desc), '')) as title,
    approval_status,
    case
        when approval_status not in ('approved', 'closed') then null
        when scmst_post_date = date_trunc('day', scmst_post_date) then end_of_day(cast(scmst_post_date as date))
        else scmst_post_date
    end as approved_at,
    scmst_cont_amt as amount,
    scmst_impact_days as schedule_impact_days,
    nullif(trim(scmst_curr_code), '') as currency
from rows
