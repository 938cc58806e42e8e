-- title: Categories of Sage 300 CRE
-- grain: one category, with what it accumulates as

select
    upper(trim(category)) as record_id,
    upper(trim(category)) as code,
    min(nullif(trim(accumulate_as), '')) as title
from source.categories
group by upper(trim(category))
