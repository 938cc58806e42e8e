-- title:    Customers on one side only, repeated, or described differently
-- check:    K1
-- entity:   customers
-- scope:    firm
-- record_owner: erp
-- version:  3
-- risk:     the customer's prime contracts in PM; once per customer
-- question: Which project owners do the two systems not agree on?
-- grain:    one row per customer that one side lacks or holds twice; one per linked customer and field that differs
-- compares: name, tax_id_hash, is_active, address_line, city, state, postal_code, email, phone
-- fix:      The ERP owns customers: create or correct it there, link it in PM.
-- columns:
--   reason             only_in_pm, only_in_erp, repeated or differs
--   field              the field that differs
--   name               PM's name, else the ERP's
--   erp_name           the ERP's name

with contract_sums as (

    select customer_id, sum(coalesce(revised_amount, original_amount, 0)) as amount, min(currency) as currency
    from pm.prime_contracts
    where coalesce(approval_status, 'pending') not in ('void', 'rejected')
    group by customer_id

),

-- PM's customers are the companies of its prime contracts, so all are in use; the ERP's count on projects that PM has.
erp_used as (

    select distinct projects.customer_id
    from erp.projects
    inner join link.projects as links on links.erp_id = projects.record_id
    where projects.customer_id is not null

),

repeats as (

    select record_id, name,
        first_value(record_id) over (partition by source, coalesce(tax_id_hash, name_key) order by record_id) as first_id
    from erp.customers
    where coalesce(is_active, true) and coalesce(tax_id_hash, name_key) is not null

),

-- Owners are companies of PM's directory: one that no prime contract names is there all the same.
-- Of one that both sides have, the fields that PM's directory and the ERP both have of an owner.
found as (

    select 'K1:' || customers.record_id as exception_key, 'only_in_pm' as reason, 'pm' as fix_side,
        customers.record_id as pm_id, cast(null as varchar) as erp_id, cast(null as varchar) as field,
        customers.name, cast(null as varchar) as erp_name, customers.name as pm_value, cast(null as varchar) as erp_value
    from pm.customers
    left anti join link.customers as links on links.pm_id = customers.record_id

    union all

    select 'K1:erp:' || customers.record_id as exception_key, 'only_in_erp' as reason, 'erp' as fix_side,
        null as pm_id, customers.record_id as erp_id, null as field,
        customers.name, customers.name as erp_name, null as pm_value, customers.name as erp_value
    from erp.customers
    inner join erp_used on erp_used.customer_id = customers.record_id
    left anti join link.customers as links on links.erp_id = customers.record_id
    left anti join pm.vendors as named on upper(trim(named.linked_id)) = upper(own_key(customers.source, customers.record_id))
    left anti join pm.vendors as coded on upper(trim(coded.linked_id)) = upper(customers.code)
    left anti join pm.vendors as namesakes on namesakes.name_key = customers.name_key
    where coalesce(customers.is_active, true)

    union all

    select 'K1:erp:repeated:' || record_id as exception_key, 'repeated' as reason, 'erp' as fix_side,
        null as pm_id, record_id as erp_id, null as field, name, name as erp_name, null as pm_value, name as erp_value
    from repeats
    where record_id <> first_id

    union all

    select 'K1:' || pm_id || ':' || erp_id || ':' || field as exception_key, 'differs' as reason, 'pm' as fix_side,
        pm_id, erp_id, field, pm_side.name, erp_side.name as erp_name,
        case when field = 'tax_id' then 'hashed' else pm_value end as pm_value,
        case when field = 'tax_id' then 'hashed' else erp_value end as erp_value
    from shared.party_differences as differences
    inner join pm.customers as pm_side on pm_side.record_id = differences.pm_id
    inner join erp.customers as erp_side on erp_side.record_id = differences.erp_id
    where field in ('name', 'tax_id', 'is_active', 'address_line', 'city', 'state', 'postal_code', 'email', 'phone')

),

counted as (

    select found.*, row_number() over (partition by coalesce(pm_id, erp_id) order by exception_key) as turn
    from found

)

select
    counted.exception_key,
    cast(null as varchar) as project_id, cast(null as varchar) as project_number, counted.pm_id, counted.erp_id,
    coalesce(counted.name, counted.pm_id, counted.erp_id) || coalesce(' ' || counted.field, '') as label,
    'customer ' || coalesce(counted.name, counted.pm_id, counted.erp_id) ||
        case
            when counted.reason = 'only_in_pm' then ' is in PM and not in the ERP'
            when counted.reason = 'only_in_erp' then ' owns a synced project in the ERP and is not in PM'
            when counted.reason = 'repeated' then ' stands twice in the ERP'
            when counted.field = 'tax_id' then ': tax_id is not the same in PM and in the ERP'
            else ': ' || counted.field || ' is ' || coalesce(counted.pm_value, 'not told') || ' in PM and ' ||
                coalesce(counted.erp_value, 'not told') || ' in the ERP'
        end as detail,
    counted.pm_value, counted.erp_value,
    cast(case when counted.turn = 1 then coalesce(contract_sums.amount, 0) else 0 end as decimal(18,2)) as amount_at_risk,
    coalesce(contract_sums.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    counted.fix_side, counted.reason, counted.field, counted.name, counted.erp_name
from counted
left join contract_sums on contract_sums.customer_id = counted.pm_id
