-- title: Clients of jobs, as exported
-- grain: one client, as jobs name it

select
    trim(client) as record_id,
    min(trim(client)) as name,
    normalize_name(min(trim(client))) as name_key
from source.jobs
where nullif(trim(client), '') is not null
group by trim(client)
