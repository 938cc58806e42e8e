-- FOUNDATION on the firm's own SQL Server, for extractors/foundation/manifest.toml. A hosted database takes no grants: there `ODBC Access` of a user is all.
use [Cas_1234];
go

create login tieout_reader with password = '<a long random password>', check_policy = on;
create user tieout_reader for login tieout_reader with default_schema = dbo;
go

grant select on dbo.jobs to tieout_reader;
grant select on dbo.job_chg to tieout_reader;
grant select on dbo.project_managers to tieout_reader;
grant select on dbo.customers to tieout_reader;
grant select on dbo.vendors to tieout_reader;
grant select on dbo.ap_invoice_h to tieout_reader;
grant select on dbo.ap_invoice_d to tieout_reader;
grant select on dbo.ap_check_vch to tieout_reader;
grant select on dbo.ap_pmt_vch to tieout_reader;
grant select on dbo.ap_pre_check_vch to tieout_reader;
grant select on dbo.ap_pre_pmt_vch to tieout_reader;
grant select on dbo.ar_invoice to tieout_reader;
grant select on dbo.ar_cash to tieout_reader;
grant select on dbo.ar_cash_invoice to tieout_reader;
grant select on dbo.gl_history to tieout_reader;

-- With orders = "yes": what the mapping names for purchase_orders, purchase_order_lines, purchase_order_changes.
-- grant select on dbo.<view> to tieout_reader;
go

-- What the login may do, as the server sees it: select on these, connect, and nothing else.
execute as user = 'tieout_reader';
select entity_name, permission_name from sys.fn_my_permissions(null, 'database');
select o.name from sys.objects as o where has_perms_by_name('dbo.' + quotename(o.name), 'object', 'select') = 1 and o.type in ('U', 'V') order by o.name;
revert;
go
