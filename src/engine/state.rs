//! What every session starts from: options, functions, planners and rules.

use std::sync::Arc;

use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;
use url::Url;

use super::blueprint::Blueprint;
use super::options::{Heads, TieoutOptions};
use super::settings::EngineSettings;
use super::{CATALOG, Error, estimates, functions, outer, queries, snapshot, time_functions, using};
use crate::warehouse::Warehouse;

pub(super) fn base(
    blueprint: &Blueprint,
    heads: &Arc<Heads>,
    runtime: &Arc<RuntimeEnv>,
) -> Result<SessionState, Error> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, queries::DEFAULT_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true);
    if let Some(partitions) = blueprint.settings.partitions {
        config = config.with_target_partitions(partitions);
    }
    let options = config.options_mut();
    for (key, value) in [
        ("datafusion.sql_parser.parse_float_as_decimal", "true"),
        ("datafusion.sql_parser.map_string_types_to_utf8view", "false"),
        ("datafusion.sql_parser.dialect", "postgresql"),
        ("datafusion.execution.parquet.schema_force_view_types", "false"),
        // Row counts come from the manifests; footers are not read twice to learn them.
        ("datafusion.execution.collect_statistics", "false"),
        ("datafusion.execution.time_zone", "+00:00"),
        ("datafusion.optimizer.use_statistics_registry", "true"),
    ] {
        options.set(key, value)?;
    }
    options.extensions.insert(TieoutOptions::new(blueprint, Arc::clone(heads)));
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(runtime))
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .with_default_features()
        .with_relation_planners(vec![using::planner()])
        .with_physical_optimizer_rules(outer::rules())
        .with_statistics_registry(estimates::registry())
        .build();
    datafusion_functions_json::register_all(&mut state)?;
    functions::register(&mut state)?;
    time_functions::register(&mut state);
    Ok(state)
}

/// Parquet footers kept in memory, over all queries.
const FOOTERS_BYTES_MAX: usize = 64 << 20;

/// What all sessions share: memory, the disk for what does not fit, footers, the warehouse's files.
pub(super) fn runtime(warehouse: &Warehouse, settings: &EngineSettings) -> Result<Arc<RuntimeEnv>, Error> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::OsTmpDirectory)
        .with_max_temp_directory_size(settings.spill_limit_bytes);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(settings.memory_limit_bytes)))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(FOOTERS_BYTES_MAX)
        .build_arc()?;
    let url = Url::parse(snapshot::STORE_URL).map_err(|error| DataFusionError::External(Box::new(error)))?;
    runtime.register_object_store(&url, warehouse.object_store());
    Ok(runtime)
}
