-- title: ProjectSight companies that give prime contracts
-- grain: one company that a prime contract names beside the firm
-- Which list a contract belongs to is told by its type where that is plain, else by IsCommit.

with -- The firm itself stands on every contract, on either side; who stands there most often is the firm. Where that is a tie: it gives
-- subcontracts and takes prime contracts.
own_companies as (

    select portfolio_id, company_id
    from (
        select portfolio_id, company_id,
            row_number() over (partition by portfolio_id order by count(*) desc, sum(expected) desc, company_id) as place
        from (
            select portfolio_id, from_company_id as company_id, case when is_commit then 1 else 0 end as expected from source.contracts
            union all
            select portfolio_id, to_company_id as company_id, case when is_commit then 0 else 1 end as expected from source.contracts
        ) as sides
        where company_id is not null
        group by portfolio_id, company_id
    ) as ranked
    where place = 1

),

named as (

    select distinct contracts.portfolio_id,
        case when own.company_id = contracts.from_company_id then contracts.to_company_id else contracts.from_company_id end as company_id
    from (
        select portfolio_id, from_company_id, to_company_id,
            coalesce(
                case
                    when regexp_like(lower(type), 'prime|owner') and not regexp_like(lower(type), 'sub|purchase') then false
                    when regexp_like(lower(type), 'sub|purchase') and not regexp_like(lower(type), 'prime|owner') then true
                end,
                is_commit, true
            ) as is_commitment
        from source.contracts
        where not coalesce(deleted, false)
    ) as contracts
    left join own_companies as own on own.portfolio_id = contracts.portfolio_id
    where not contracts.is_commitment

)

select
    named.portfolio_id || '|V' || named.company_id as record_id,
    coalesce(nullif(trim(companies.erp_customer_or_vendor_code), ''), nullif(trim(mirror.erp_code), '')) as linked_id,
    companies.when_created as created_at,
    companies.last_modified as updated_at,
    companies.created_by,
    companies.name,
    normalize_name(companies.name) as name_key,
    companies.tax_id_hash
from named
inner join source.companies as companies on companies.portfolio_id = named.portfolio_id and companies.company_id = named.company_id
left join source.erp_customers_and_vendors as mirror on
    mirror.portfolio_id = companies.portfolio_id and mirror.id = companies.erp_customer_or_vendor_id
