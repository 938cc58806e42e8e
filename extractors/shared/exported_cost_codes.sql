-- title: Cost codes that budgets use, as exported
-- grain: one code of one job
-- Codes are flat text: of '01-100 Site work' the code is the first word, if it has a digit, and the title the rest.

with used as (

    select distinct job, trim(cost_code) as written
    from source.budget
    where nullif(trim(cost_code), '') is not null

),

coded as (

    select job, written, nullif(regexp_replace(written, '^([0-9][0-9A-Za-z.-]*)([ :].*)?$|^.*$', '\1'), '') as number
    from used

)

select
    concat(job, '|', coalesce(number, written)) as record_id,
    job as project_id,
    coalesce(number, written) as code,
    normalize_number(coalesce(number, written)) as code_key,
    min(nullif(regexp_replace(substr(written, coalesce(length(number), 0) + 1), '^[ :-]+', ''), '')) as title,
    true as is_active
from coded
group by job, coalesce(number, written)
