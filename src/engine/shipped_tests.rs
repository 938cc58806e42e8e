//! What is shipped: every view plans, and whatever a reader sees of it is described.

use datafusion::execution::context::SessionContext;

use super::tests::Firm;
use super::*;

/// Every shipped view plans without data, credentials or network, whatever the shipped systems are.
#[test]
fn what_is_shipped_plans() {
    // Commands have 64 MB of stack: an unoptimised planner recurses deeply.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(plan_what_is_shipped());
    });
    thread.unwrap().join().unwrap();
}

async fn plan_what_is_shipped() {
    let definitions = Definitions::shipped();
    let systems = definitions.files.keys().filter_map(|path| {
        path.strip_prefix("extractors/")?
            .strip_suffix("/manifest.toml")
            .map(|system| SourceBinding { name: format!("my_{system}"), system: system.to_owned() })
    });
    let settings = EngineSettings { sources: systems.collect(), ..EngineSettings::default() };
    let firm = Firm::new(definitions, settings).await;
    assert_eq!(firm.engine.problems().await, []);
    let session = firm.session().await;
    for name in firm.engine.blueprint.queries.keys() {
        let table = session.table(datafusion::common::TableReference::partial(name.0.as_str(), name.1.as_str())).await;
        let table = table.unwrap_or_else(|error| panic!("{name:?}: {error}"));
        table.collect().await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    all_is_described(&firm, &session).await;
}

/// Every table and column that people read says what it is, and no description is of a column that is not there.
async fn all_is_described(firm: &Firm, session: &SessionContext) {
    let told = firm.engine.catalog_descriptions();
    let (mut silent, mut invented, mut count) = (Vec::new(), Vec::new(), 0);
    for schema in ["pm", "erp", "link", "recon", "trend", "audit", "meta"] {
        for name in session.catalog(CATALOG).unwrap().schema(schema).unwrap().table_names() {
            let table = session.table(datafusion::common::TableReference::partial(schema, name.as_str())).await;
            let table = table.unwrap_or_else(|error| panic!("{schema}.{name}: {error}"));
            let columns: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
            let description = told.get(&(schema.to_owned(), name.clone())).cloned().unwrap_or_default();
            count += columns.len();
            if description.text.trim().is_empty() {
                silent.push(format!("{schema}.{name}"));
            }
            let says = |column: &String| description.columns.get(column).is_some_and(|text| !text.trim().is_empty());
            silent.extend(
                columns.iter().filter(|column| !says(column)).map(|column| format!("{schema}.{name}.{column}")),
            );
            let gone = description.columns.keys().filter(|column| !columns.contains(column));
            invented.extend(gone.map(|column| format!("{schema}.{name}.{column}")));
        }
    }
    let hint = "say it in `-- columns:` of the view's file, or in src/engine/described.toml";
    assert_eq!(silent, Vec::<String>::new(), "{hint}");
    assert_eq!(invented, Vec::<String>::new(), "described, and not there");
    assert!(count > 2_000, "only {count} columns were looked at");
}
