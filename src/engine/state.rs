//! What every session starts from: options, functions, planners and rules.

use std::sync::Arc;

use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionConfig;

use super::blueprint::Blueprint;
use super::options::{Heads, TieoutOptions};
use super::{CATALOG, Error, functions, outer, queries, time_functions, using};

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
        .build();
    datafusion_functions_json::register_all(&mut state)?;
    functions::register(&mut state)?;
    time_functions::register(&mut state);
    Ok(state)
}
