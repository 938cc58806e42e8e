-- title: ProjectSight companies as vendors
-- grain: one company of a portfolio that is not deleted
-- The firm's own company is in the list too: it is known by the name of its portfolio's account or ERP company, and left out.
-- Whether a company may still be used, and its address, is told by no field that is known.
-- The code that the integration wrote is the link; where only the mirror's id is there, the mirror has the code.

with own_names as (

    select portfolio_id, normalize_name(account_name) as name_key from source.portfolios
    union
    select portfolio_id, normalize_name(erp_company_name) as name_key from source.portfolios

)

select
    companies.portfolio_id || '|V' || companies.company_id as record_id,
    coalesce(nullif(trim(companies.erp_customer_or_vendor_code), ''), nullif(trim(mirror.erp_code), '')) as linked_id,
    companies.when_created as created_at,
    companies.last_modified as updated_at,
    companies.created_by,
    companies.name,
    normalize_name(companies.name) as name_key,
    companies.tax_id_hash
from source.companies as companies
left join source.erp_customers_and_vendors as mirror on
    mirror.portfolio_id = companies.portfolio_id and mirror.id = companies.erp_customer_or_vendor_id
left anti join own_names on
    own_names.portfolio_id = companies.portfolio_id and own_names.name_key = normalize_name(companies.name) and
    companies.erp_customer_or_vendor_id is null
where not coalesce(companies.deleted, false)
