//! Columns of the views by which Postgres is watched, and of what it keeps about others' work, for clients that show them
//! beside everything else. Letters as in [`super::tables`].

/// Views that have rows.
pub(super) const FILLED: &[(&str, &str)] = &[
    (
        "pg_stat_all_tables",
        "relid:i schemaname:t relname:t seq_scan:m seq_tup_read:m idx_scan:m idx_tup_fetch:m n_tup_ins:m \
         n_tup_upd:m n_tup_del:m n_tup_hot_upd:m n_live_tup:m n_dead_tup:m n_mod_since_analyze:m \
         n_ins_since_vacuum:m last_vacuum:w last_autovacuum:w last_analyze:w last_autoanalyze:w vacuum_count:m \
         autovacuum_count:m analyze_count:m autoanalyze_count:m \
         last_seq_scan:w last_idx_scan:w n_tup_newpage_upd:m",
    ),
    (
        "pg_stat_all_indexes",
        "relid:i indexrelid:i schemaname:t relname:t indexrelname:t idx_scan:m idx_tup_read:m idx_tup_fetch:m \
         last_idx_scan:w",
    ),
    (
        "pg_statio_all_tables",
        "relid:i schemaname:t relname:t heap_blks_read:m heap_blks_hit:m idx_blks_read:m idx_blks_hit:m \
         toast_blks_read:m toast_blks_hit:m tidx_blks_read:m tidx_blks_hit:m",
    ),
    (
        "pg_statio_all_indexes",
        "relid:i indexrelid:i schemaname:t relname:t indexrelname:t idx_blks_read:m idx_blks_hit:m",
    ),
    (
        "pg_stat_database",
        "datid:i datname:t numbackends:n xact_commit:m xact_rollback:m blks_read:m blks_hit:m tup_returned:m \
         tup_fetched:m tup_inserted:m tup_updated:m tup_deleted:m conflicts:m temp_files:m temp_bytes:m \
         deadlocks:m checksum_failures:m checksum_last_failure:w blk_read_time:d blk_write_time:d session_time:d \
         active_time:d idle_in_transaction_time:d sessions:m sessions_abandoned:m sessions_fatal:m \
         sessions_killed:m stats_reset:w",
    ),
    (
        "pg_stat_activity",
        "datid:i datname:t pid:n leader_pid:n usesysid:i usename:t application_name:t client_addr:t \
         client_hostname:t client_port:n backend_start:w xact_start:w query_start:w state_change:w \
         wait_event_type:t wait_event:t state:t backend_xid:t backend_xmin:t query_id:m query:t backend_type:t",
    ),
    (
        "pg_user",
        "usename:t usesysid:i usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:w useconfig:l",
    ),
    (
        "pg_shadow",
        "usename:t usesysid:i usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:w useconfig:l",
    ),
    (
        "pg_stat_user_indexes",
        "relid:i indexrelid:i schemaname:t relname:t indexrelname:t idx_scan:m idx_tup_read:m idx_tup_fetch:m",
    ),
    (
        "pg_statio_user_tables",
        "relid:i schemaname:t relname:t heap_blks_read:m heap_blks_hit:m idx_blks_read:m idx_blks_hit:m \
         toast_blks_read:m toast_blks_hit:m tidx_blks_read:m tidx_blks_hit:m",
    ),
];

/// Views that are empty.
pub(super) const EMPTY: &[(&str, &str)] = &[
    (
        "pg_stats",
        "schemaname:t tablename:t attname:t inherited:b null_frac:f avg_width:n n_distinct:f most_common_vals:t \
         most_common_freqs:l histogram_bounds:t correlation:f most_common_elems:t most_common_elem_freqs:l \
         elem_count_histogram:l",
    ),
    ("pg_statio_all_sequences", "relid:i schemaname:t relname:t blks_read:m blks_hit:m"),
    ("pg_stat_user_functions", "funcid:i schemaname:t funcname:t calls:m total_time:d self_time:d"),
    ("pg_seclabels", "objoid:i classoid:i objsubid:n objtype:t objnamespace:i objname:t provider:t label:t"),
    ("pg_shseclabel", "objoid:i classoid:i provider:t label:t"),
    (
        "pg_stat_replication",
        "pid:n usesysid:i usename:t application_name:t client_addr:t client_hostname:t client_port:n \
         backend_start:w backend_xmin:t state:t sent_lsn:t write_lsn:t flush_lsn:t replay_lsn:t write_lag:t \
         flush_lag:t replay_lag:t sync_priority:n sync_state:t reply_time:w",
    ),
    ("pg_prepared_xacts", "transaction:t gid:t prepared:w owner:t database:t"),
    ("pg_group", "groname:t grosysid:i grolist:l"),
    ("pg_shdepend", "dbid:i classid:i objid:i objsubid:n refclassid:i refobjid:i deptype:t"),
    (
        "pg_aggregate",
        "aggfnoid:t aggkind:t aggnumdirectargs:s aggtransfn:t aggfinalfn:t aggcombinefn:t aggserialfn:t \
         aggdeserialfn:t aggmtransfn:t aggminvtransfn:t aggmfinalfn:t aggfinalextra:b aggmfinalextra:b \
         aggfinalmodify:t aggmfinalmodify:t aggsortop:i aggtranstype:i aggtransspace:n aggmtranstype:i \
         aggmtransspace:n agginitval:t aggminitval:t",
    ),
    (
        "pg_stat_subscription",
        "subid:i subname:t pid:n relid:i received_lsn:t last_msg_send_time:w last_msg_receipt_time:w \
         latest_end_lsn:t latest_end_time:w",
    ),
    ("pg_policies", "schemaname:t tablename:t policyname:t permissive:t roles:l cmd:t qual:t with_check:t"),
    (
        "pg_stat_progress_vacuum",
        "pid:n datid:i datname:t relid:i phase:t heap_blks_total:m heap_blks_scanned:m heap_blks_vacuumed:m \
         index_vacuum_count:m max_dead_tuples:m num_dead_tuples:m",
    ),
    (
        "pg_replication_slots",
        "slot_name:t plugin:t slot_type:t datoid:i database:t temporary:b active:b active_pid:n xmin:t \
         catalog_xmin:t restart_lsn:t confirmed_flush_lsn:t wal_status:t safe_wal_size:m two_phase:b",
    ),
    ("pg_available_extensions", "name:t default_version:t installed_version:t comment:t"),
];
