//! What a person may have meant by a table that is not there.

use datafusion::prelude::SessionContext;

use crate::engine::CATALOG;

/// So many tables of the same name are told.
const SAME_MAX: usize = 5;
/// Nobody mistypes their names, and everybody's tables are like one of them.
const NOT_MEANT: [&str; 2] = ["information_schema", "pg_catalog"];

/// What to try after `table 'tieout.recon.vendors' not found`; none after any other message.
pub(crate) fn hint(context: &SessionContext, message: &str) -> Option<String> {
    let (_, rest) = message.split_once("table '")?;
    let (wanted, _) = rest.split_once("' not found")?;
    let (path, table) = wanted.rsplit_once('.')?;
    let schema = path.rsplit('.').next().unwrap_or(path);
    let catalog = context.catalog(CATALOG)?;
    let names: Vec<(String, String)> = catalog
        .schema_names()
        .into_iter()
        .filter(|name| !NOT_MEANT.contains(&name.as_str()))
        .filter_map(|name| Some((catalog.schema(&name)?.table_names(), name)))
        .flat_map(|(tables, schema)| tables.into_iter().map(move |table| (schema.clone(), table)))
        .collect();
    Some(meant(&names, schema, table))
}

fn meant(names: &[(String, String)], schema: &str, table: &str) -> String {
    let full = |(schema, table): &(String, String)| format!("{schema}.{table}");
    let same: Vec<String> = names.iter().filter(|name| name.1 == table).map(full).take(SAME_MAX).collect();
    if !same.is_empty() {
        return format!("did you mean {}?", same.join(" or "));
    }
    let wanted = format!("{schema}.{table}");
    let distance = |name: &String| strsim::damerau_levenshtein(name, &wanted);
    let nearest = names.iter().map(full).map(|name| (distance(&name), name)).min();
    match nearest {
        Some((distance, name)) if distance <= 1 + table.chars().count() / 3 => format!("did you mean {name}?"),
        _ => "information_schema.tables lists what there is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_elsewhere_comes_before_a_like_one() {
        let names = [("pm", "vendors"), ("erp", "vendors"), ("recon", "exceptions"), ("recon", "vendor_counts")];
        let names = names.map(|(schema, table)| (schema.to_owned(), table.to_owned()));
        assert_eq!(meant(&names, "recon", "vendors"), "did you mean pm.vendors or erp.vendors?");
        assert_eq!(meant(&names, "recon", "exeptions"), "did you mean recon.exceptions?");
        assert_eq!(meant(&names, "recn", "exceptions"), "did you mean recon.exceptions?");
        assert_eq!(meant(&names, "recon", "payroll"), "information_schema.tables lists what there is");
    }
}
