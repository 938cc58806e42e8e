-- title: Sage Intacct cost types
-- grain: one standard cost type, or one code of a project's cost types that is no standard one

with standard as (

    select trim(id) as code, max(trim(name)) as title, max(modified_date_time) as updated_at
    from source.standard_cost_types
    where nullif(trim(id), '') is not null
    group by 1

),

own as (

    select trim(cost_types.id) as code, max(trim(cost_types.name)) as title, max(cost_types.modified_date_time) as updated_at
    from source.cost_types as cost_types
    left anti join standard on standard.code = trim(cost_types.id)
    where nullif(trim(cost_types.id), '') is not null
    group by 1

)

select code as record_id, updated_at, code, title from standard
union all
select code as record_id, updated_at, code, title from own
