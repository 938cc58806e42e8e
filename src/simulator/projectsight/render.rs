//! The firm's records in the shapes of ProjectSight's interface.
//!
//! Owns the small habits of the interface: money as JSON numbers that are doubles at heart, dates without a zone, the fields
//! that every record has. Whether a purchase is a purchase order or a contract is told by its retainage: ProjectSight's
//! purchase orders know none.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::ids::{ProjectSightIds, ProjectSightKind as Kind, guid};
use super::states::WorkflowStates;
use crate::firm::model::{
    AcumaticaDatabase, Cents, Commitment, CommitmentKind, ProcoreDatabase, ProcoreId, Project, Rate, Vendor,
};

pub(super) mod billing;
pub(super) mod budget;
pub(super) mod changes;
pub(super) mod contracts;
pub(super) mod costs;
pub(super) mod directory;
pub(super) mod erp;

/// The firm as a request sees it.
pub(super) struct Look<'a> {
    pub(super) pm: &'a ProcoreDatabase,
    pub(super) erp: &'a AcumaticaDatabase,
    ids: &'a ProjectSightIds,
    states: &'a WorkflowStates,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        pm: &'a ProcoreDatabase,
        erp: &'a AcumaticaDatabase,
        ids: &'a ProjectSightIds,
        states: &'a WorkflowStates,
    ) -> Self {
        Self { pm, erp, ids, states }
    }

    /// The portfolio's GUID.
    pub(super) fn portfolio(&self) -> String {
        portfolio_guid(self.pm)
    }

    /// The account's number.
    pub(super) fn account(&self) -> i64 {
        self.pm.company.id % 100_000
    }

    /// ProjectSight's id of one of Procore's records.
    pub(super) fn id(&self, kind: Kind, id: ProcoreId) -> i32 {
        self.ids.id(kind, id)
    }

    /// ProjectSight's id of what Procore knows by a key of its own making.
    pub(super) fn id_of(&self, kind: Kind, key: &str) -> i32 {
        self.ids.of(kind, key)
    }

    /// The project of a path.
    pub(super) fn project_of(&self, id: &str) -> Option<ProcoreId> {
        self.projects().map(|project| project.id).find(|project| self.id(Kind::Project, *project).to_string() == id)
    }

    /// Every project that is a job. Demo projects and templates are Procore's.
    pub(super) fn projects(&self) -> impl Iterator<Item = &'a Project> {
        self.pm.projects.values().filter(|project| !project.is_demo && !project.is_template)
    }

    fn company(&self, id: Option<ProcoreId>) -> Option<&'a Vendor> {
        id.and_then(|id| self.pm.vendors.get(&id))
    }

    /// Id and name of a company under `{side}Company…`; that of the firm itself for none.
    fn party(&self, side: &str, company: Option<&Vendor>) -> Value {
        let (id, name) = match company {
            Some(vendor) => (self.id(Kind::Company, vendor.id), vendor.name.clone()),
            None => (self.id(Kind::Company, self.pm.company.id), self.pm.company.name.clone()),
        };
        let mut fields = serde_json::Map::new();
        fields.insert(format!("{side}CompanyID"), id.into());
        fields.insert(format!("{side}CompanyName"), name.into());
        fields.insert(format!("{side}ContactID"), Value::Null);
        fields.insert(format!("{side}ContactName"), Value::Null);
        Value::Object(fields)
    }

    /// The state of a record that Procore shows with `status`.
    fn state(&self, status: &str) -> Value {
        let state = self.states.of(status);
        json!({
            "WorkflowStatePermissionLevel": 3, "WorkflowState": state.number, "WorkflowStateName": state.name,
            "WorkflowTemplateId": null, "WorkflowTemplateName": null, "WorkflowStepId": null, "WorkflowStepName": null,
            "StepDueDate": null, "IsLocked": false, "SharedWith": null,
        })
    }

    /// What every record of a project ends with.
    fn footer(&self, project: ProcoreId, created: DateTime<Utc>, updated: DateTime<Utc>) -> Value {
        let created_by = "Luis Ortega";
        json!({
            "ProjectID": self.id(Kind::Project, project), "WhenCreated": moment(created), "CreatedBy": created_by,
            "CreatedByContactID": null, "CreatedByDisplayName": created_by, "LastModified": moment(updated),
            "LastModifiedBy": created_by, "RecordToRecordLinks": [], "RecordComments": [], "Assignees": [],
            "CourtesyCopies": [], "FileLinks": [],
        })
    }

    /// Id, code and words of a budget code: `01-500.L` is segments `01`, `500` and `L`.
    fn coded(&self, project: ProcoreId, code: &str, cost_type: &str) -> Value {
        json!({
            "BdgtCodeID": self.id_of(Kind::BudgetCode, &format!("{project}/{code}/{cost_type}")),
            "BdgtCode": format!("{code}.{cost_type}"),
        })
    }
}

/// The portfolio of a firm.
pub(crate) fn portfolio_guid(pm: &ProcoreDatabase) -> String {
    guid("portfolio", &pm.company.id.to_string())
}

/// Whether Procore's commitment is one of ProjectSight's purchase orders.
pub(in crate::projectsight) fn is_purchase_order(one: &Commitment) -> bool {
    one.kind == CommitmentKind::PurchaseOrder && one.retainage_percent == Rate(0)
}

/// What the integration with the ERP wrote on a record.
fn integrated(code: Option<&String>) -> Value {
    let status = code.map(|_| "Success");
    json!({"ERPIntegrationStatus": status, "ERPStatusMessage": null, "ERPCode": code})
}

/// Money as a JSON number that was computed as a double: some have digits that nobody meant.
fn money(amount: Cents) -> Value {
    let text = amount.to_string();
    let padded = |text: &str, last: &str| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        format!("{text}{}{last}", "0".repeat(15_usize.saturating_sub(digits)))
    };
    let text = match amount.0.unsigned_abs() % 100 {
        0 if amount.is_zero() => "0.0".to_owned(),
        0 => text.trim_end_matches('0').trim_end_matches('.').to_owned() + ".0",
        13 => padded(&text, "1"),
        37 => {
            let below = Cents(amount.0 - amount.0.signum()).to_string();
            let digits = below.bytes().filter(u8::is_ascii_digit).count();
            format!("{below}{}", "9".repeat(16_usize.saturating_sub(digits)))
        }
        cents if cents % 10 == 0 => text.trim_end_matches('0').to_owned(),
        _ => text,
    };
    serde_json::from_str(&text).unwrap_or_default()
}

/// A percentage as a double.
fn percent(rate: Rate) -> Value {
    money(Cents(rate.0))
}

/// A moment.
fn moment(at: DateTime<Utc>) -> Value {
    Value::String(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A calendar date or null.
fn date(day: Option<NaiveDate>) -> Value {
    day.map_or(Value::Null, |day| Value::String(day.to_string()))
}

/// The fields of all objects, in their order; later ones win.
fn merged<const N: usize>(parts: [Value; N]) -> Value {
    let mut all = serde_json::Map::new();
    for part in parts {
        if let Value::Object(fields) = part {
            all.extend(fields);
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_a_double_with_its_tails() {
        let text = |cents| money(Cents(cents)).to_string();
        assert_eq!([text(0), text(120_000), text(25_050), text(-150)], ["0.0", "1200.0", "250.5", "-1.5"]);
        assert_eq!([text(123_413), text(-123_437)], ["1234.130000000001", "-1234.369999999999".to_owned().as_str()]);
    }

    proptest! {
        #[test]
        fn money_is_what_it_was_to_the_cent(cents in -1_000_000_000_000i64..1_000_000_000_000) {
            let text = money(Cents(cents)).to_string();
            let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |digits| (-1, digits));
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let mills: i64 = format!("{whole}{:0<3}", fraction.chars().take(3).collect::<String>()).parse().unwrap();
            prop_assert_eq!(sign * ((mills + 5) / 10), cents);
        }
    }
}
