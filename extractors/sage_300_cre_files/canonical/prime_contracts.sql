-- title: Contracts of Sage 300 CRE's jobs
-- grain: one job that has a contract amount

select * from shared.sage_300_cre_prime_contracts
