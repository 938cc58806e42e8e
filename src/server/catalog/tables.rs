//! The columns of the `pg_catalog` tables: `i` an oid, `m` a number, `s` int2, `b` bool, `t` text, `f` float4, `n` int4, `p` a
//! function's oid,
//! `z` a timestamp, `w` one with a zone, `d` float8, `a` a list of int2,
//! `y` bytes, `v` and `o` vectors of int2 and of oids, `l` a list that is null in every row.

/// Every table with its columns.
pub(super) fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    FILLED.iter().chain(super::watching::FILLED).chain(EMPTY).chain(super::watching::EMPTY)
}

/// Tables that have rows.
const FILLED: &[(&str, &str)] = &[
    ("pg_am", "oid:i amname:t amhandler:t amtype:t"),
    (
        "pg_attribute",
        "attrelid:i attname:t atttypid:i attlen:s attnum:s atttypmod:n attndims:s attbyval:b attalign:t attstorage:t \
         attcompression:t attnotnull:b atthasdef:b atthasmissing:b attidentity:t attgenerated:t attisdropped:b \
         attislocal:b attinhcount:n attcollation:i attstattarget:n attacl:l attoptions:l attfdwoptions:l",
    ),
    (
        "pg_class",
        "oid:i relname:t relnamespace:i reltype:i reloftype:i relowner:i relam:i relfilenode:i reltablespace:i \
         relpages:n reltuples:f relallvisible:n reltoastrelid:i relhasindex:b relisshared:b relpersistence:t \
         relkind:t relnatts:s relchecks:s relhasrules:b relhastriggers:b relhassubclass:b relrowsecurity:b \
         relforcerowsecurity:b relispopulated:b relreplident:t relispartition:b relrewrite:i relacl:l reloptions:l \
         relpartbound:t",
    ),
    (
        "pg_database",
        "oid:i datname:t datdba:i encoding:n datlocprovider:t datistemplate:b datallowconn:b datconnlimit:n \
         dattablespace:i datcollate:t datctype:t daticulocale:t daticurules:t datcollversion:t datacl:l",
    ),
    (
        "pg_constraint",
        "oid:i conname:t connamespace:i contype:t condeferrable:b condeferred:b convalidated:b conrelid:i contypid:i \
         conindid:i conparentid:i confrelid:i confupdtype:t confdeltype:t confmatchtype:t conislocal:b coninhcount:n \
         connoinherit:b conkey:a confkey:a conbin:t \
         conpfeqop:l conppeqop:l conffeqop:l confdelsetcols:a conexclop:l",
    ),
    (
        "pg_index",
        "indexrelid:i indrelid:i indnatts:s indnkeyatts:s indisunique:b indisprimary:b indisexclusion:b \
         indimmediate:b indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b \
         indnullsnotdistinct:b indkey:v indcollation:o indclass:o indoption:v indexprs:t indpred:t",
    ),
    ("pg_indexes", "schemaname:t tablename:t indexname:t tablespace:t indexdef:t"),
    ("pg_description", "objoid:i classoid:i objsubid:n description:t"),
    ("pg_namespace", "oid:i nspname:t nspowner:i nspacl:l"),
    (
        "pg_proc",
        "oid:i proname:t pronamespace:i proowner:i prolang:i prokind:t prosecdef:b proleakproof:b proisstrict:b \
         proretset:b provolatile:t proparallel:t pronargs:s prorettype:i proargtypes:l proargmodes:l proargnames:l \
         prosrc:t proacl:l \
         procost:f prorows:f provariadic:i prosupport:t pronargdefaults:s proallargtypes:l proargdefaults:t \
         protrftypes:l probin:t prosqlbody:t proconfig:l",
    ),
    ("pg_rewrite", "oid:i rulename:t ev_class:i ev_type:t ev_enabled:t is_instead:b ev_qual:t ev_action:t"),
    (
        "pg_roles",
        "oid:i rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b \
         rolconnlimit:n rolpassword:t rolvaliduntil:t rolbypassrls:b rolconfig:l",
    ),
    (
        "pg_settings",
        "name:t setting:t unit:t category:t short_desc:t extra_desc:t context:t vartype:t source:t min_val:t \
         max_val:t enumvals:l boot_val:t reset_val:t pending_restart:b",
    ),
    ("pg_tables", "schemaname:t tablename:t tableowner:t tablespace:t hasindexes:b hasrules:b hastriggers:b"),
    (
        "pg_type",
        "oid:i typname:t typnamespace:i typowner:i typlen:s typbyval:b typtype:t typcategory:t typispreferred:b \
         typisdefined:b typdelim:t typrelid:i typelem:i typarray:i typinput:p typoutput:p typreceive:p typsend:p \
         typalign:t typstorage:t typnotnull:b typbasetype:i typtypmod:n typndims:n typcollation:i typdefault:t typacl:l \
         typdefaultbin:t typmodin:t typmodout:t typanalyze:t typsubscript:t",
    ),
    ("pg_tablespace", "oid:i spcname:t spcowner:i spcacl:l spcoptions:l"),
    ("pg_views", "schemaname:t viewname:t viewowner:t definition:t"),
    ("pg_depend", "classid:i objid:i objsubid:n refclassid:i refobjid:i refobjsubid:n deptype:t"),
    ("pg_stat_gssapi", "pid:n gss_authenticated:b principal:t encrypted:b credentials_delegated:b"),
    ("pg_stat_user_tables", "relid:i schemaname:t relname:t n_live_tup:m"),
];

/// Tables that are empty because the server has nothing of their kind.
pub(super) const EMPTY: &[(&str, &str)] = &[
    ("pg_attrdef", "oid:i adrelid:i adnum:s adbin:t"),
    (
        "pg_auth_members",
        "oid:i roleid:i member:i grantor:i admin_option:b \
         inherit_option:b set_option:b",
    ),
    ("pg_cast", "oid:i castsource:i casttarget:i castfunc:i castcontext:t castmethod:t"),
    (
        "pg_collation",
        "oid:i collname:t collnamespace:i collowner:i collprovider:t collisdeterministic:b collencoding:n collcollate:t collctype:t colliculocale:t collicurules:t collversion:t",
    ),
    (
        "pg_conversion",
        "oid:i conname:t connamespace:i conowner:i conforencoding:n contoencoding:n conproc:i condefault:b",
    ),
    ("pg_db_role_setting", "setdatabase:i setrole:i setconfig:l"),
    ("pg_default_acl", "oid:i defaclrole:i defaclnamespace:i defaclobjtype:t defaclacl:l"),
    ("pg_enum", "oid:i enumtypid:i enumsortorder:f enumlabel:t"),
    ("pg_event_trigger", "oid:i evtname:t evtevent:t evtowner:i evtfoid:i evtenabled:t evttags:l"),
    ("pg_extension", "oid:i extname:t extowner:i extnamespace:i extrelocatable:b extversion:t"),
    ("pg_foreign_data_wrapper", "oid:i fdwname:t fdwowner:i fdwhandler:i fdwvalidator:i fdwacl:l fdwoptions:l"),
    ("pg_foreign_server", "oid:i srvname:t srvowner:i srvfdw:i srvtype:t srvversion:t srvacl:l srvoptions:l"),
    ("pg_foreign_table", "ftrelid:i ftserver:i ftoptions:l"),
    ("pg_inherits", "inhrelid:i inhparent:i inhseqno:n inhdetachpending:b"),
    (
        "pg_language",
        "oid:i lanname:t lanowner:i lanispl:b lanpltrusted:b lanplcallfoid:i laninline:i lanvalidator:i lanacl:l",
    ),
    (
        "pg_locks",
        "locktype:t database:i relation:i pid:n mode:t granted:b \
         page:n tuple:s virtualxid:t transactionid:i classid:i objid:i objsubid:s virtualtransaction:t fastpath:b waitstart:w",
    ),
    ("pg_matviews", "schemaname:t matviewname:t matviewowner:t definition:t"),
    (
        "pg_opclass",
        "oid:i opcmethod:i opcname:t opcnamespace:i opcfamily:i opcintype:i opckeytype:i opcdefault:b opcowner:i",
    ),
    (
        "pg_operator",
        "oid:i oprname:t oprnamespace:i oprkind:t oprleft:i oprright:i oprresult:i oprcode:i \
         oprowner:i oprcanmerge:b oprcanhash:b oprcom:i oprnegate:i oprrest:t oprjoin:t",
    ),
    ("pg_opfamily", "oid:i opfmethod:i opfname:t opfnamespace:i opfowner:i"),
    ("pg_partitioned_table", "partrelid:i partstrat:t partnatts:s partdefid:i"),
    ("pg_policy", "oid:i polname:t polrelid:i polcmd:t polpermissive:b polroles:t polqual:t polwithcheck:t"),
    (
        "pg_publication",
        "oid:i pubname:t pubowner:i puballtables:b pubinsert:b pubupdate:b pubdelete:b pubtruncate:b pubviaroot:b",
    ),
    ("pg_publication_namespace", "oid:i pnpubid:i pnnspid:i"),
    ("pg_publication_rel", "oid:i prpubid:i prrelid:i prqual:t prattrs:l"),
    ("pg_range", "rngtypid:i rngsubtype:i rngmultitypid:i rngcollation:i rngsubopc:i rngcanonical:t rngsubdiff:t"),
    ("pg_rules", "schemaname:t tablename:t rulename:t definition:t"),
    ("pg_seclabel", "objoid:i classoid:i objsubid:n provider:t label:t"),
    ("pg_sequence", "seqrelid:i seqtypid:i seqstart:m seqincrement:m seqmax:m seqmin:m seqcache:m seqcycle:b"),
    ("pg_sequences", "schemaname:t sequencename:t sequenceowner:t"),
    ("pg_shdescription", "objoid:i classoid:i description:t"),
    (
        "pg_statistic_ext",
        "oid:i stxrelid:i stxname:t stxnamespace:i stxowner:i stxstattarget:n stxkeys:l stxkind:l stxexprs:t",
    ),
    (
        "pg_subscription",
        "oid:i subdbid:i subname:t subowner:i subenabled:b subbinary:b substream:b subtwophasestate:t subdisableonerr:b suborigin:t subsynccommit:t subconninfo:t subskiplsn:t subpublications:l \
         subslotname:t subpasswordrequired:b subrunasowner:b",
    ),
    (
        "pg_trigger",
        "oid:i tgrelid:i tgparentid:i tgname:t tgfoid:i tgtype:s tgenabled:t tgisinternal:b tgconstraint:i \
         tgdeferrable:b tginitdeferred:b tgnargs:s tgattr:v tgargs:y tgqual:t tgoldtable:t tgnewtable:t",
    ),
    ("pg_user_mappings", "umid:i srvid:i srvname:t umuser:i usename:t umoptions:l"),
    ("pg_ts_config", "oid:i cfgname:t cfgnamespace:i cfgowner:i cfgparser:i"),
    ("pg_ts_dict", "oid:i dictname:t dictnamespace:i dictowner:i dicttemplate:i dictinitoption:t"),
    (
        "pg_ts_parser",
        "oid:i prsname:t prsnamespace:i \
         prsstart:t prstoken:t prsend:t prslextype:t prsheadline:t",
    ),
    (
        "pg_ts_template",
        "oid:i tmplname:t tmplnamespace:i \
         tmplinit:t tmpllexize:t",
    ),
    ("pg_user_mapping", "oid:i umuser:i umserver:i umoptions:l"),
];
