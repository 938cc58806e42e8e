//! What a fault's exception must be: its key, built from the fault's own ids; who owns the record and who must act; the cause,
//! where the data make it knowable.

use tieout::simulator::Fault;

/// By the ownership matrix and its rule: missing on the mirror, the owner resends; another value, the mirror corrects; only on
/// the mirror, the mirror takes it back; what does not flow back is the connector's, on the ERP's side.
const OWNERS: [(&str, &str, &str); 41] = [
    ("V1", "erp", "pm"),
    ("V2", "erp", "erp"),
    ("V3", "erp", "pm"),
    ("C1", "erp", "pm"),
    ("C2", "erp", "erp"),
    ("C3", "erp", "pm"),
    ("C4", "erp", "erp"),
    ("C5", "erp", "erp"),
    ("O1", "pm", "pm"),
    ("O2", "pm", "pm"),
    ("O3", "pm", "erp"),
    ("O4", "pm", "erp"),
    ("O5", "pm", "erp"),
    ("M1", "pm", "pm"),
    ("M2", "pm", "erp"),
    ("M3", "pm", "erp"),
    ("M4", "pm", "erp"),
    ("M6", "pm", "erp"),
    ("I1", "pm", "pm"),
    ("I2", "pm", "pm"),
    ("I3", "pm", "erp"),
    ("I4", "pm", "erp"),
    ("I5", "pm", "erp"),
    ("I6", "pm", "erp"),
    ("I8", "pm", "pm"),
    ("I9", "pm", "erp"),
    ("I10", "pm", "erp"),
    ("I11", "pm", "erp"),
    ("P1", "erp", "erp"),
    ("P3", "erp", "erp"),
    ("P4", "erp", "pm"),
    ("S1", "pm", "pm"),
    ("S2", "pm", "erp"),
    ("B1", "pm", "erp"),
    ("K1", "erp", "pm"),
    ("T1", "erp", "erp"),
    ("T2", "erp", "erp"),
    ("T3", "erp", "erp"),
    ("T4", "erp", "erp"),
    ("W1", "erp", "pm"),
    ("W2", "erp", "pm"),
];

/// Causes that every exception of a check has.
const CAUSES: [(&str, &str); 10] = [
    ("C1", "entered on the wrong side"),
    ("C5", "coding"),
    ("I5", "timing: other period"),
    ("I6", "coding"),
    ("M6", "entered on the wrong side"),
    ("O4", "entered on the wrong side"),
    ("P3", "voided check"),
    ("P4", "entered on the wrong side"),
    ("S1", "failed with message"),
    ("W1", "entered on the wrong side"),
];

/// The side that is right and the side that must act.
pub(super) fn owner(check: &str) -> Option<(&'static str, &'static str)> {
    OWNERS.iter().find(|row| row.0 == check).map(|row| (row.1, row.2))
}

/// The cause, where it is knowable: by the check, or by what the fault follows from.
pub(super) fn cause(fault: &Fault) -> Option<&'static str> {
    if fault.note.starts_with("follows from V1") && ["M1", "O1", "I2", "V5"].contains(&fault.check.as_str()) {
        return Some("vendor unlinked");
    }
    CAUSES.iter().find(|row| row.0 == fault.check).map(|row| row.1)
}

/// The exception's key behind `CHECK:`.
pub(super) fn key(fault: &Fault) -> String {
    let pm_id = fault.pm_id.as_deref().unwrap_or_default();
    let erp_id = fault.erp_id.as_deref().unwrap_or_default();
    let field = fault.field.as_deref().unwrap_or_default();
    let side = if fault.pm_id.is_some() { "pm" } else { "erp" };
    let id = if fault.pm_id.is_some() { pm_id } else { erp_id };
    let document = fault.entity.trim_end_matches('s');
    match fault.check.as_str() {
        "V2" | "C4" | "C5" | "O4" | "M6" | "I10" | "I11" => erp_id.to_owned(),
        // Named by both keys already, where these have bars of their own.
        "C2" if erp_id.contains(':') => erp_id.to_owned(),
        "C2" => erp_id.replacen('|', ":", 1),
        "V4" | "M5" => format!("{side}:{id}"),
        "V5" => format!("{side}:{document}:{id}"),
        "I3" | "I4" => format!("{pm_id}:{}", field.trim_end_matches("_amount")),
        "I5" => format!("{document}:{erp_id}"),
        "I8" => format!("{pm_id}:{}", line(field)),
        "I9" => format!("erp:{document}:{erp_id}"),
        "M2" => format!("{pm_id}:{}", component(field)),
        "B1" | "B2" => format!("{pm_id}:cost_budget:{}", place(erp_id)),
        "B3" => format!("{pm_id}:{}", place(erp_id)),
        "R1" | "R2" | "R3" => format!("{}:pm:{pm_id}", fault.entity),
        "S1" | "S2" => format!("{}:{pm_id}", fault.entity),
        "L2" => format!("{}:{}", fault.entity, if fault.entity == "payments" { "erp_to_pm" } else { "pm_to_erp" }),
        "J1" if fault.pm_id.is_none() => format!("erp:{erp_id}"),
        "V3" | "C3" | "K1" | "J1" => format!("{pm_id}:{erp_id}:{field}"),
        "T1" | "T2" | "T3" | "T4" => field.to_owned(),
        "P0" => format!("{pm_id} {field}"),
        "W1" | "W2" | "W3" => format!("{}:{pm_id}:{erp_id}:{field}", fault.entity),
        _ => pm_id.to_owned(),
    }
}

/// The line of a G702 that a field is printed on.
fn line(field: &str) -> &str {
    match field {
        "contract_sum_to_date" => "3",
        "completed_and_stored" => "4",
        "earned_less_retainage" => "6",
        "balance_to_finish" => "9",
        other => other,
    }
}

fn component(field: &str) -> &str {
    match field {
        "original_amount" => "original",
        "approved_change_amount" => "changes",
        other => other.trim_end_matches("_amount"),
    }
}

/// `26-101|0000|S|02-100|<N/A>` is `2-100 S`: zeros in front say nothing.
fn place(budget_key: &str) -> String {
    let mut parts = budget_key.split('|').skip(2);
    let (group, code) = (parts.next().unwrap(), parts.next().unwrap());
    let runs: Vec<&str> =
        code.split('-').filter(|run| !run.is_empty()).map(|run| run.trim_start_matches('0')).collect();
    let runs: Vec<&str> = runs.into_iter().map(|run| if run.is_empty() { "0" } else { run }).collect();
    let code = if runs.is_empty() { "(none)".to_owned() } else { runs.join("-") };
    format!("{code} {group}")
}
