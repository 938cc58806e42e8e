//! G702 and G703: what an application bills and retains.
//!
//! Every line is rounded to the cent on its own and the header only adds lines up, so the form always ties: G = D + E + F,
//! 4 = Σ G, 5 = Σ retainage, 6 = 4 − 5, 8 = 6 − 7, 9 = 3 − 6.

use super::Firm;
use super::model::{Cents, ContractLine, G702, G703Line, LineOrigin, ProcoreId, Rate};

/// Ten percent, unless the firm's options say otherwise.
pub(super) const RETAINAGE: Rate = Rate(1_000);

/// A contract line or an approved change order that can be billed.
#[derive(Clone, Debug)]
pub(super) struct Billable {
    pub(super) origin: LineOrigin,
    pub(super) origin_id: ProcoreId,
    pub(super) line: ContractLine,
}

impl Firm {
    /// The lines of the next application at `progress` (basis points of the job's time), after `previous`.
    pub(super) fn bill_lines(
        &mut self,
        billables: &[Billable],
        previous: &[G703Line],
        progress: i64,
        stores_material: bool,
    ) -> Vec<G703Line> {
        let mut lines = Vec::with_capacity(billables.len());
        for (item_number, billable) in (1..).zip(billables) {
            let before = previous.iter().find(|line| line.origin_id == billable.origin_id);
            let (start, end) = self.windows.get(&billable.origin_id).copied().unwrap_or((0, 10_000));
            let done = ((progress - start) * 10_000 / (end - start).max(1)).clamp(0, 10_000);
            let has_material = stores_material && billable.line.cost_type == "M" && done > 0 && done < 8_000;
            let stored = if has_material { billable.line.amount.share(self.between(1, 8), 100) } else { Cents::ZERO };
            lines.push(self.bill_line(item_number, billable, before, done, stored));
        }
        lines
    }

    fn bill_line(
        &mut self,
        item_number: u32,
        billable: &Billable,
        before: Option<&G703Line>,
        done: i64,
        stored: Cents,
    ) -> G703Line {
        let scheduled = billable.line.amount;
        let previous = before.map_or(Cents::ZERO, |line| {
            line.work_completed_from_previous_application + line.work_completed_this_period
        });
        let previously_stored = before.map_or(Cents::ZERO, |line| line.materials_presently_stored);
        let work = scheduled.share(done, 10_000);
        let total = work + stored;
        let work_before = before.map_or(Cents::ZERO, |line| line.work_retainage_currently_retained);
        let stored_before = before.map_or(Cents::ZERO, |line| line.materials_retainage_currently_retained);
        let retainage = self.options.retainage;
        let work_now = work.at(retainage);
        let stored_now = stored.at(retainage);
        G703Line {
            id: self.procore_id(),
            item_number,
            description_of_work: billable.line.description.clone(),
            scheduled_value: scheduled,
            work_completed_from_previous_application: previous,
            work_completed_this_period: work - previous,
            materials_moved: previously_stored,
            materials_presently_stored: stored,
            materials_previously_stored: previously_stored,
            total_completed_and_stored_to_date: total,
            total_completed_and_stored_to_date_percent: total.percent_of(scheduled),
            balance_to_finish: scheduled - total,
            retainage_percent: retainage,
            work_retainage_from_previous_application: work_before,
            work_retainage_this_period: (work_now - work_before).max(Cents::ZERO),
            work_retainage_released_this_period: (work_before - work_now).max(Cents::ZERO),
            work_retainage_currently_retained: work_now,
            materials_retainage_from_previous_application: stored_before,
            materials_retainage_this_period: (stored_now - stored_before).max(Cents::ZERO),
            materials_retainage_released_this_period: (stored_before - stored_now).max(Cents::ZERO),
            materials_retainage_currently_retained: stored_now,
            total_retainage_currently_retained: work_now + stored_now,
            origin: billable.origin,
            origin_id: billable.origin_id,
            cost_code_id: billable.line.cost_code_id,
            cost_code: billable.line.cost_code.clone(),
            line_item_type_id: billable.line.line_item_type_id,
            cost_type: billable.line.cost_type,
            wbs_code_id: billable.line.wbs_code_id,
        }
    }
}

/// What a line bills this period: the growth of G.
pub(super) fn gross(line: &G703Line) -> Cents {
    line.work_completed_this_period + line.materials_presently_stored - line.materials_previously_stored
}

/// What a line retains this period.
pub(super) fn retained(line: &G703Line) -> Cents {
    line.work_retainage_this_period - line.work_retainage_released_this_period + line.materials_retainage_this_period
        - line.materials_retainage_released_this_period
}

/// The form over its lines; `previous` is line 6 of the last approved application.
pub(super) fn summarize(original: Cents, changes: Cents, lines: &[G703Line], previous: Cents) -> G702 {
    let retainage = lines.first().map_or(RETAINAGE, |line| line.retainage_percent);
    let sum = |of: fn(&G703Line) -> Cents| lines.iter().map(of).sum::<Cents>();
    let completed = sum(|line| line.total_completed_and_stored_to_date);
    let work_retainage = sum(|line| line.work_retainage_currently_retained);
    let stored_retainage = sum(|line| line.materials_retainage_currently_retained);
    let earned = completed - work_retainage - stored_retainage;
    G702 {
        original_contract_sum: original,
        net_change_by_change_orders: changes,
        contract_sum_to_date: original + changes,
        total_completed_and_stored_to_date: completed,
        completed_work_retainage_percent: retainage,
        completed_work_retainage_amount: work_retainage,
        stored_materials_retainage_percent: retainage,
        stored_materials_retainage_amount: stored_retainage,
        total_retainage: work_retainage + stored_retainage,
        total_earned_less_retainage: earned,
        less_previous_certificates_for_payment: previous,
        tax_applicable_to_this_payment: Cents::ZERO,
        current_payment_due: earned - previous,
        balance_to_finish_including_retainage: original + changes - earned,
    }
}
