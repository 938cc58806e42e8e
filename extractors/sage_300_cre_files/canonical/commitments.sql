-- title: Sage 300 CRE commitments
-- grain: one commitment; its number is unique in the data folder

select * from shared.sage_300_cre_commitments
