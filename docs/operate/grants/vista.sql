-- Vista: a login that reads the views of extractors/vista/manifest.toml and nothing else. Run as a database administrator, in Vista's database.
-- Leave this user out of Vista's data security: the views would hide rows without a word, and hidden rows look deleted.
use [Viewpoint];
go

create login tieout_reader with password = '<a long random password>', check_policy = on;
create user tieout_reader for login tieout_reader with default_schema = dbo;
go

grant select on dbo.HQCO to tieout_reader;
grant select on dbo.DDDTShared to tieout_reader;
grant select on dbo.GLCO to tieout_reader;
grant select on dbo.APCO to tieout_reader;
grant select on dbo.APPT to tieout_reader;
grant select on dbo.APPC to tieout_reader;   -- where there is one
grant select on dbo.ARCO to tieout_reader;
grant select on dbo.ARRT to tieout_reader;
grant select on dbo.JCCO to tieout_reader;
grant select on dbo.PMCO to tieout_reader;
grant select on dbo.HQPT to tieout_reader;
grant select on dbo.APVM to tieout_reader;
grant select on dbo.ARCM to tieout_reader;
grant select on dbo.JCMP to tieout_reader;
grant select on dbo.JCPM to tieout_reader;
grant select on dbo.JCPC to tieout_reader;
grant select on dbo.JCCT to tieout_reader;
grant select on dbo.JCCM to tieout_reader;
grant select on dbo.JCCI to tieout_reader;
grant select on dbo.JCJM to tieout_reader;
grant select on dbo.JCJP to tieout_reader;
grant select on dbo.JCCH to tieout_reader;
grant select on dbo.JCCP to tieout_reader;
grant select on dbo.JCCD to tieout_reader;
grant select on dbo.JCID to tieout_reader;
grant select on dbo.JCOH to tieout_reader;
grant select on dbo.JCOI to tieout_reader;
grant select on dbo.JCOD to tieout_reader;
grant select on dbo.SLHD to tieout_reader;
grant select on dbo.SLIT to tieout_reader;
grant select on dbo.SLCD to tieout_reader;
grant select on dbo.POHD to tieout_reader;
grant select on dbo.POIT to tieout_reader;
grant select on dbo.POItemLine to tieout_reader;
grant select on dbo.POCD to tieout_reader;
grant select on dbo.PORD to tieout_reader;
grant select on dbo.PMOP to tieout_reader;
grant select on dbo.PMOH to tieout_reader;
grant select on dbo.PMOI to tieout_reader;
grant select on dbo.PMOL to tieout_reader;
grant select on dbo.PMSL to tieout_reader;
grant select on dbo.PMMF to tieout_reader;
grant select on dbo.PMSubcontractCO to tieout_reader;
grant select on dbo.PMPOCO to tieout_reader;
grant select on dbo.PMSC to tieout_reader;
grant select on dbo.APTH to tieout_reader;
grant select on dbo.APTL to tieout_reader;
grant select on dbo.APTD to tieout_reader;
grant select on dbo.APHD to tieout_reader;
grant select on dbo.APPH to tieout_reader;
grant select on dbo.APPD to tieout_reader;
grant select on dbo.APUI to tieout_reader;
grant select on dbo.APUL to tieout_reader;
grant select on dbo.ARTH to tieout_reader;
grant select on dbo.ARTL to tieout_reader;
grant select on dbo.JBIN to tieout_reader;
grant select on dbo.JBIT to tieout_reader;
grant select on dbo.JBIS to tieout_reader;
grant select on dbo.GLAC to tieout_reader;
grant select on dbo.GLBL to tieout_reader;
grant select on dbo.GLDT to tieout_reader;
grant select on dbo.GLFP to tieout_reader;
grant select on dbo.CMDT to tieout_reader;
grant select on dbo.HQMA to tieout_reader;
go

-- What the login may do, as the server sees it: select on these, connect, and nothing else.
execute as user = 'tieout_reader';
select entity_name, permission_name from sys.fn_my_permissions(null, 'database');
select o.name from sys.objects as o where has_perms_by_name('dbo.' + quotename(o.name), 'object', 'select') = 1 and o.type in ('U', 'V') order by o.name;
revert;
go
