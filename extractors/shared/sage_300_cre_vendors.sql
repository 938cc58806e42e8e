-- title: Sage 300 CRE vendors
-- grain: one vendor of the data folder
-- Sage compares codes without case: they are shown in upper case, as other systems store them.

select
    upper(trim(vendor)) as record_id,
    end_of_day(date_stamp) as updated_at,
    upper(trim(vendor)) as code,
    trim(name) as name,
    normalize_name(trim(name)) as name_key,
    coalesce(lower(trim(form_type_1099)), '') not in ('', 'none', 'no 1099', '0') as is_1099,
    nullif(trim(address_1), '') as address_line,
    nullif(trim(city), '') as city,
    nullif(trim(state), '') as state,
    nullif(trim(zip), '') as postal_code,
    nullif(trim(e_mail_address), '') as email,
    nullif(trim(telephone), '') as phone
from source.vendors
