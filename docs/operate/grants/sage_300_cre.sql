-- Sage 300 CRE: a login on the database that the SQL Replicator fills, for extractors/sage_300_cre/manifest.toml.
use [SageReplica];
go

create login tieout_reader with password = '<a long random password>', check_policy = on;
create user tieout_reader for login tieout_reader with default_schema = dbo;
go

grant select on dbo.APM_MASTER__VENDOR to tieout_reader;
grant select on dbo.ARM_MASTER__CUSTOMER to tieout_reader;
grant select on dbo.JCM_MASTER__JOB to tieout_reader;
grant select on dbo.JCM_MASTER__CATEGORY to tieout_reader;
grant select on dbo.JCM_MASTER__COMMITMENT to tieout_reader;
grant select on dbo.JCM_MASTER__COMMITMENT_ITEM to tieout_reader;
grant select on dbo.APM_MASTER__INVOICE to tieout_reader;
grant select on dbo.APM_MASTER__DISTRIBUTION to tieout_reader;
grant select on dbo.APM_MASTER__INVOICE_PAYMENT to tieout_reader;
grant select on dbo.APT_CURRENT__TRANSACTION to tieout_reader;
grant select on dbo.APT_HISTORY__TRANSACTION to tieout_reader;   -- where there is one
grant select on dbo.ART_CURRENT__TRANSACTION to tieout_reader;
grant select on dbo.ART_HISTORY__TRANSACTION to tieout_reader;   -- where there is one
grant select on dbo.JCT_CURRENT__TRANSACTION to tieout_reader;
grant select on dbo.JCT_HISTORY__TRANSACTION to tieout_reader;
grant select on dbo.JCM_MASTER__COMMITMENT_CO to tieout_reader;
grant select on dbo.GLM_MASTER__ACCOUNT to tieout_reader;
go

-- What the login may do, as the server sees it: select on these, connect, and nothing else.
execute as user = 'tieout_reader';
select entity_name, permission_name from sys.fn_my_permissions(null, 'database');
select o.name from sys.objects as o where has_perms_by_name('dbo.' + quotename(o.name), 'object', 'select') = 1 and o.type in ('U', 'V') order by o.name;
revert;
go
