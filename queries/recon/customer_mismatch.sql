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

mapped as (

    select
        pm_side.taxes > 0 and erp_side.taxes > 0 as taxes,
        pm_side.flags > 0 and erp_side.flags > 0 as flags,
        pm_side.addresses > 0 and erp_side.addresses > 0 as addresses,
        pm_side.cities > 0 and erp_side.cities > 0 as cities,
        pm_side.states > 0 and erp_side.states > 0 as states,
        pm_side.codes > 0 and erp_side.codes > 0 as codes,
        pm_side.emails > 0 and erp_side.emails > 0 as emails,
        pm_side.phones > 0 and erp_side.phones > 0 as phones
    from (
        select count(tax_id_hash) as taxes, count(is_active) as flags, count(address_line) as addresses, count(city) as cities,
            count(state) as states, count(postal_code) as codes, count(email) as emails, count(phone) as phones
        from pm.customers
    ) as pm_side
    cross join (
        select count(tax_id_hash) as taxes, count(is_active) as flags, count(address_line) as addresses, count(city) as cities,
            count(state) as states, count(postal_code) as codes, count(email) as emails, count(phone) as phones
        from erp.customers
    ) as erp_side

),

compared as (

    select
        links.pm_id,
        links.erp_id,
        pm_side.name,
        erp_side.name as erp_name,
        fields.field,
        case fields.field
            when 'name' then true
            when 'tax_id' then mapped.taxes
            when 'is_active' then mapped.flags
            when 'address_line' then mapped.addresses
            when 'city' then mapped.cities
            when 'state' then mapped.states
            when 'postal_code' then mapped.codes
            when 'email' then mapped.emails
            when 'phone' then mapped.phones
        end as is_comparable,
        case fields.field
            when 'name' then pm_side.name_key
            when 'tax_id' then pm_side.tax_id_hash
            when 'is_active' then cast(pm_side.is_active as varchar)
            when 'address_line' then normalize_address(pm_side.address_line)
            when 'city' then upper(trim(pm_side.city))
            when 'state' then upper(trim(pm_side.state))
            when 'postal_code' then normalize_postal_code(pm_side.postal_code)
            when 'email' then upper(trim(pm_side.email))
            when 'phone' then normalize_phone(pm_side.phone)
        end as pm_key,
        case fields.field
            when 'name' then erp_side.name_key
            when 'tax_id' then erp_side.tax_id_hash
            when 'is_active' then cast(erp_side.is_active as varchar)
            when 'address_line' then normalize_address(erp_side.address_line)
            when 'city' then upper(trim(erp_side.city))
            when 'state' then upper(trim(erp_side.state))
            when 'postal_code' then normalize_postal_code(erp_side.postal_code)
            when 'email' then upper(trim(erp_side.email))
            when 'phone' then normalize_phone(erp_side.phone)
        end as erp_key,
        case fields.field
            when 'name' then pm_side.name when 'tax_id' then 'hashed' when 'is_active' then cast(pm_side.is_active as varchar)
            when 'address_line' then pm_side.address_line when 'city' then pm_side.city when 'state' then pm_side.state
            when 'postal_code' then pm_side.postal_code when 'email' then pm_side.email when 'phone' then pm_side.phone
        end as pm_value,
        case fields.field
            when 'name' then erp_side.name when 'tax_id' then 'hashed' when 'is_active' then cast(erp_side.is_active as varchar)
            when 'address_line' then erp_side.address_line when 'city' then erp_side.city when 'state' then erp_side.state
            when 'postal_code' then erp_side.postal_code when 'email' then erp_side.email when 'phone' then erp_side.phone
        end as erp_value
    from link.customers as links
    inner join pm.customers as pm_side on pm_side.record_id = links.pm_id
    inner join erp.customers as erp_side on erp_side.record_id = links.erp_id
    cross join (
        values ('name'), ('tax_id'), ('is_active'), ('address_line'), ('city'), ('state'), ('postal_code'), ('email'), ('phone')
    ) as fields (field)
    cross join mapped

),

repeats as (

    select
        customers.record_id,
        customers.name,
        first_value(customers.record_id) over (partition by coalesce(customers.tax_id_hash, customers.name_key) order by customers.record_id)
            as first_id
    from erp.customers
    where coalesce(customers.is_active, true) and coalesce(customers.tax_id_hash, customers.name_key) is not null

),

found as (

    select 'K1:' || customers.record_id as exception_key, customers.record_id as pm_id, cast(null as varchar) as erp_id, 'only_in_pm' as reason,
        cast(null as varchar) as field, customers.name, cast(null as varchar) as erp_name,
        customers.name as pm_value,
        cast(null as varchar) as erp_value, 'pm' as fix_side
    from pm.customers
    left anti join link.customers as links on links.pm_id = customers.record_id

    union all

    select 'K1:erp:' || customers.record_id as exception_key, cast(null as varchar) as pm_id, customers.record_id as erp_id, 'only_in_erp' as reason,
        cast(null as varchar) as field, customers.name, customers.name as erp_name, cast(null as varchar) as pm_value,
        customers.name as erp_value, 'erp' as fix_side
    from erp.customers
    inner join erp_used on erp_used.customer_id = customers.record_id
    left anti join link.customers as links on links.erp_id = customers.record_id
    -- Owners are companies of PM's directory: one that no prime contract names is there all the same.
    left anti join pm.vendors as directory on upper(trim(directory.linked_id)) in (upper(customers.record_id), upper(customers.code))
    left anti join pm.vendors as namesakes on namesakes.name_key = customers.name_key
    where coalesce(customers.is_active, true)

    union all

    select 'K1:erp:repeated:' || record_id as exception_key, cast(null as varchar) as pm_id, record_id as erp_id, 'repeated' as reason,
        cast(null as varchar) as field, name, name as erp_name, cast(null as varchar) as pm_value, name as erp_value, 'erp' as fix_side
    from repeats
    where record_id <> first_id

    union all

    select 'K1:' || pm_id || ':' || erp_id || ':' || field as exception_key, pm_id, erp_id, 'differs', field, name, erp_name, pm_value,
        erp_value, 'pm'
    from compared
    where is_comparable and (nullif(pm_key, '') is distinct from nullif(erp_key, ''))

),

counted as (

    select found.*, row_number() over (partition by coalesce(pm_id, erp_id) order by exception_key) as turn
    from found

)

select
    counted.exception_key,
    cast(null as varchar) as project_id,
    cast(null as varchar) as project_number,
    counted.pm_id,
    counted.erp_id,
    coalesce(counted.name, counted.pm_id, counted.erp_id) || coalesce(' ' || counted.field, '') as label,
    'customer ' || coalesce(counted.name, counted.pm_id, counted.erp_id) ||
        case counted.reason
            when 'only_in_pm' then ' is in PM and not in the ERP'
            when 'only_in_erp' then ' owns a synced project in the ERP and is not in PM'
            when 'repeated' then ' stands twice in the ERP'
            else
                ': ' || counted.field || case
                    when counted.field = 'tax_id' then ' is not the same in PM and in the ERP'
                    else ' is ' || coalesce(counted.pm_value, 'not told') || ' in PM and ' || coalesce(counted.erp_value, 'not told') || ' in the ERP'
                end
        end as detail,
    counted.pm_value,
    counted.erp_value,
    cast(case when counted.turn = 1 then coalesce(contract_sums.amount, 0) else 0 end as decimal(18,2)) as amount_at_risk,
    coalesce(contract_sums.currency, setting_text('currency')) as currency,
    cast(null as timestamp with time zone) as occurred_at,
    'unknown' as cause,
    cast(null as varchar) as explained_by,
    counted.fix_side,
    counted.reason,
    counted.field,
    counted.name,
    counted.erp_name
from counted
left join contract_sums on contract_sums.customer_id = counted.pm_id
