-- title: Vista customers
-- grain: one customer of a group that the companies bill by
-- statuses: A, I, H
-- On hold is active: it may be billed.

with groups as (

    select distinct cust_group from source.companies where cust_group is not null

)

select
    concat(customers.cust_group, '|', customers.customer) as record_id,
    cast(customers.customer as varchar) as code,
    trim(customers.name) as name,
    normalize_name(trim(customers.name)) as name_key,
    upper(trim(customers.status)) is distinct from 'I' as is_active,
    nullif(trim(customers.pay_terms), '') as payment_terms,
    nullif(trim(customers.address), '') as address_line,
    nullif(trim(customers.city), '') as city,
    nullif(trim(customers.state), '') as state,
    nullif(trim(customers.zip), '') as postal_code,
    nullif(trim(customers.country), '') as country,
    nullif(trim(customers.e_mail), '') as email,
    nullif(trim(customers.phone), '') as phone
from source.customers as customers
inner join groups on groups.cust_group = customers.cust_group
