//! What a firm calls the states of its workflows: each customer of ProjectSight defines them.

use std::collections::BTreeMap;

/// Names of workflow states, by what Procore would call the same stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkflowStates(BTreeMap<String, String>);

/// A state: its number in the workflow and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) number: i64,
    pub(super) name: String,
}

impl WorkflowStates {
    /// The same, but for one stage: `approved` shall be called `Released to Field`.
    #[must_use]
    pub fn calling(mut self, stage: &str, name: &str) -> Self {
        self.0.insert(stage.to_owned(), name.to_owned());
        self
    }

    /// The state of a record that Procore shows with `status`.
    pub(super) fn of(&self, status: &str) -> State {
        let stage = status.to_lowercase().replace(' ', "_");
        let (number, usual) = match stage.as_str() {
            "draft" => (1, "Draft"),
            "under_review" => (2, "Under Review"),
            "revise_and_resubmit" => (3, "Revise and Resubmit"),
            "approved" | "partially_received" | "received" => (5, "Approved"),
            "approved_as_noted" => (6, "Approved as Noted"),
            "rejected" => (7, "Rejected"),
            "void" => (8, "Void"),
            "complete" | "closed" | "terminated" | "no_charge" => (9, "Closed"),
            "active" => (10, "Active"),
            "inactive" => (11, "Inactive"),
            "bidding" => (12, "Bidding"),
            _ => (4, "Pending"),
        };
        let name = self.0.get(&stage).cloned().unwrap_or_else(|| usual.to_owned());
        State { number, name }
    }
}
