//! The kinds of what looks wrong and is not: what each is, why it is right, and where the systems' fact sheets say so.

/// A kind of what looks wrong and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecoyKind {
    /// The owner of a new project stands in Procore's directory since yesterday and is no vendor of the ERP. It is
    /// its customer: Procore keeps both in one directory (procore §5, vendor).
    OwnerIsNoVendor,
    /// "Yadkin Steel LLC" in Procore, "Yadkin Steel" in the ERP: one company, with and without its legal form
    /// (acumatica §7 Vendor: `VendorName` beside `LegalName`).
    NameLegalForm,
    /// "Peñón" and "Penon": one of the two was typed on another keyboard (procore §5: `name`, `trade_name` are free
    /// text).
    NameAccents,
    /// The ERP shouts and doubles its spaces. Text is free on both sides (acumatica §7 Vendor).
    NameCase,
    /// "& Sons" and "The … and Sons,": the same words as people say them (acumatica §10: company `Name` → `Account
    /// Name`, typed on both sides).
    NameAmpersand,
    /// The ERP answers with `V5006     `, Procore stores `v5006 `: keys come right-padded (acumatica §4).
    PaddedVendorKey,
    /// `704-555-0142` and `+1 (704) 555-0142` ring at one desk (acumatica §10: business phone → Business 1 Phone).
    PhoneFormat,
    /// `N. Tryon St., Suite 210` and `North Tryon Street Ste 210` are one door (acumatica §10: address line1).
    StreetFormat,
    /// `28202` and `28202-1417`: one side knows the four digits of the carrier's route (acumatica §10: postal).
    ZipPlusFour,
    /// An address in other case, with a space behind it (acumatica §10: email → Account Email).
    EmailCase,
    /// `56-1234567` and `561234567` (procore §5: `business_register.identifier`; acumatica §7: `TaxRegistrationID`).
    TaxIdFormat,
    /// Accounting holds a vendor's payments: `Hold Payments` is no `Inactive` (acumatica §9).
    HeldPayments,
    /// A `One-Time` vendor still takes documents (acumatica §9).
    OneTimeVendor,
    /// Payments go to a lockbox: the remittance contact is no main contact (acumatica §7: `RemittanceContact` beside
    /// `MainContact`).
    RemitElsewhere,
    /// Null on one side, an empty text on the other: neither tells anything (procore §5 nullable fields; acumatica §4
    /// empty is `{}`).
    EmptyAndMissing,
    /// `nc` and `NC` are one state (procore §5: `state_code`).
    CountrySpelled,
    /// A vendor that both sides retired, with a subcontract from before (acumatica §9; procore §10a: active ∪
    /// inactive).
    InactiveOnBothSides,
    /// A vendor that changes its name in both systems on one day (acumatica §10: vendors sync both ways).
    RenamedOnBothSides,
    /// An owner that changes its name in both systems on one day (procore §5: the client is a directory record).
    CustomerRenamed,
    /// A surveyor in the directory for years, on no commitment: the directory holds more than vendors (procore §5).
    NeverUsedInProcore,
    /// Two directory records merged into one: the source stays, inactive, with the same `origin_id` (procore §9
    /// Locks: `merge_vendors`).
    MergedCompany,
    /// The ERP once had the company under another key; that record is inactive since (acumatica §7: `VendorID` is the key; §9:
    /// Inactive).
    NamesakeRetired,
    /// A vendor of the office, only in the ERP: vendor invoices outside commitments are its own (acumatica §9;
    /// reconciliation §1).
    OverheadVendor,
    /// An employee is reimbursed as a vendor of class EMPLOYEE, only in the ERP (acumatica §7: `VendorClass`).
    EmployeeVendor,
    /// A code of Procore's standard list that no project took over (procore §5: standard cost codes).
    StandardCodeUnused,
    /// A code of the ERP's list that no project ever used: the list is the company's, not the project's (acumatica §7
    /// `CostCode`).
    ErpCodeUnused,
    /// The ERP pads a code with spaces (acumatica §4: trim keys).
    PaddedCode,
    /// One title in other case and with spaces around it (acumatica §7 `CostCode` `Description`).
    CodeTitleSpelling,
    /// A code that was deleted the hour it was entered (procore §5: `deleted_at`).
    DeletedCode,
    /// A project that is still being bid for: no ERP knows it before it is won (procore §5: `stage`).
    BiddingProject,
    /// A bid that was lost: inactive, and never in the ERP (procore §5: `active`).
    LostBid,
    /// The training project with its subcontract: `is_demo` (procore §5: filter out `is_demo/templates`).
    DemoProject,
    /// A template of projects (procore §5: filter out `is_demo/templates`).
    TemplateProject,
    /// The shop and the yard: the ERP's own job, without customer (acumatica §7 Project: `Customer`).
    InternalProject,
    /// A finished project: inactive in Procore, `Completed` in the ERP (acumatica §9 Project).
    ClosedOnBothSides,
    /// The ERP writes the project's name in capitals (acumatica §10: Project Name → Description).
    ProjectNameSpelling,
    /// Money moved between two codes, in both systems; half of it back is still under review in Procore (procore §6:
    /// `budget_changes`; acumatica §10: budget modifications).
    BudgetTransfer,
    /// A budget change that was voided in Procore and never sent (procore §6: status void).
    BudgetChangeVoided,
    /// A line of 0.00 on both sides (acumatica §10: the export keeps $0 lines).
    BudgetLineOfNothing,
    /// A row of 0.00 only in the ERP: somebody looked at the code (acumatica §10: new lines arrive with original
    /// budget 0).
    BudgetRowOfNothing,
    /// A subcontract without an invoice (acumatica §9: Open).
    NothingBilledYet,
    /// A draft that nobody approved is not due in the ERP (acumatica §10: export needs approval).
    DraftCommitment,
    /// Out for signature (procore §7.1 status).
    CommitmentToSign,
    /// Out for bid (procore §7.1 status).
    CommitmentOutForBid,
    /// Void before it was ever sent (procore §7.1 status).
    CommitmentVoidedUnsent,
    /// A purchase order deleted before the connector saw it (procore §7.1: `include_deleted`).
    DeletedBeforeSync,
    /// Fully billed: the ERP closes the order by itself, Procore leaves it approved (acumatica §9: Closed = fully
    /// billed).
    BilledAndClosedInErp,
    /// `Complete` in Procore, `Completed` in the ERP (procore §7.1; acumatica §9).
    CompletedOnBothSides,
    /// Terminated: Procore has a word for it, the ERP only completes it (procore §7.1; acumatica §9).
    TerminatedAndCompleted,
    /// `Void` in Procore, `Canceled` in the ERP (procore §7.1; acumatica §9).
    VoidAndCanceled,
    /// The ERP waits for the printer; the subcontract stands (acumatica §9: Pending Printing).
    PendingPrinting,
    /// A purchase order of which some has come: approved long ago (procore §7.1 PO status).
    PartiallyReceived,
    /// The ERP adds sales tax to the order; tax codes are not synced (acumatica §10 Limits).
    TaxOnOrder,
    /// A subcontract entered twice in the ERP and canceled the same hour (acumatica §9: Canceled).
    CanceledSameDay,
    /// A purchase order of the office on no project (acumatica §7: the project is per line).
    OfficeOrder,
    /// `sc 26901 014` and `SC-26901-014`, linked by nothing else (acumatica §10: "Use Procore Contract #").
    NumberSpelling,
    /// Contract dates, title and references are null: they are optional (procore §7.1: real nulls).
    OptionalFieldsEmpty,
    /// A subcontract of 0.00 that change orders will fill (procore §7.1: `grand_total`).
    CommitmentOfNothing,
    /// Approved in the evening, exported the next afternoon (acumatica §10: an accounting approver has to accept).
    CommitmentInTime,
    /// Pending for less than a month, and absent in the ERP (acumatica §10: CCOs export once approved).
    ChangePendingInTime,
    /// A draft since months (procore §7.2 status).
    ChangeInDrawer,
    /// Rejected, and never sent (procore §7.2 status).
    ChangeRejected,
    /// Void, and never sent (procore §7.2 status).
    ChangeVoided,
    /// `no_charge`: decided, and there is nothing to send (procore §7.2 status).
    ChangeWithoutCharge,
    /// An approved change order of 0.00, in both systems (acumatica §7 `ChangeOrder`).
    ChangeOfNothing,
    /// Two lines that cancel each other: 0.00 in all, and each line counts (procore §7.2 lines).
    ChangeWithOffsets,
    /// Less work, less money: a negative change order (procore §0: "-12345.6789").
    DeductiveChange,
    /// Time only: `schedule_impact_amount` is days, not money (procore §7.2).
    ChangeOfDays,
    /// One change order of the ERP changes two subcontracts: both packages store its number (acumatica §7: several
    /// commitments at once).
    ChangeOnTwoCommitments,
    /// The owner's share and the subcontractor's are one change order of the ERP (acumatica §7: CCO and PCCO can both
    /// point to one `RefNbr`).
    ChangeOfRevenueAndCommitment,
    /// The ERP numbers the change order itself and keeps Procore's number as reference (acumatica §10: must be auto-
    /// numbered).
    ChangeNumberedByErp,
    /// Entered by mistake in the ERP and canceled (acumatica §9: Canceled).
    ChangeCanceledInErp,
    /// A change of the ERP's cost budget alone: money moved within it, no contract concerned (acumatica §7: class
    /// flags).
    CostBudgetChange,
    /// Approved in the evening, exported the next afternoon (acumatica §10).
    ChangeInTime,
    /// A draft is not due (procore §8.2 status).
    RequisitionInDraft,
    /// Under review for weeks (procore §8.2 status).
    RequisitionUnderReview,
    /// Returned to the subcontractor (procore §8.2 status `revise_and_resubmit`).
    RequisitionReturned,
    /// Waits for the owner's approval (procore §8.2 status `pending_owner_approval`).
    RequisitionAtOwner,
    /// A requisition of 0.00 for a month without work: nothing to pay, no bill (procore §8.2:
    /// `total_claimed_amount`).
    RequisitionOfNothing,
    /// Approved as noted is approved (procore §8.2 status).
    ApprovedAsNoted,
    /// One requisition entered as two bills; the crosswalk names both (reconciliation §3).
    BillInTwoPapers,
    /// Two requisitions entered as one bill; the crosswalk names both, the payment neither (reconciliation §3).
    TwoRequisitionsOneBill,
    /// A requisition without the supplier's number, linked by its key (procore §8.2: blank 2.6 %).
    BlankInvoiceNumber,
    /// Two suppliers begin with INV-1 (acumatica §7 Bill: `VendorRef` is the supplier's own number).
    InvoiceNumberOfTwoVendors,
    /// `INV 00421-A` and ` inv-421a `, linked by nothing else (acumatica §7 Bill: `VendorRef` is typed).
    InvoiceNumberSpelling,
    /// The ERP's bill carries sales tax; tax codes are not synced, and amounts exclude tax (acumatica §10 Limits).
    TaxOnBill,
    /// A cent of retainage is rounded the other way (reconciliation §6: tolerance 0.01).
    RetainageRoundedByCent,
    /// The bill bears the supplier's date, in the same month (acumatica §10: date drift is configuration).
    BillDatedEarlier,
    /// A requisition that takes back: a debit adjustment in the ERP (acumatica §10: negative AP invoice → Debit
    /// Adjustment).
    NegativeRequisition,
    /// Accounting releases the retainage as a bill of its own (acumatica §8: `IsRetainageDocument`).
    RetainageReleasedInErp,
    /// The subcontractor's release-only invoice is not sent; accounting releases by itself (acumatica §10 Limits).
    RetainageReleasedInBoth,
    /// Entered wrongly, voided, entered again, with one supplier's number (acumatica §9: Voided).
    BillVoidedAndReentered,
    /// A bill on the project without commitment: the ERP's own, a direct cost in Procore (acumatica §10: job costs ←
    /// transactions).
    DirectInvoice,
    /// Approved in the evening, billed the next afternoon (acumatica §10).
    RequisitionInTime,
    /// Billed in the evening, on hold until the next afternoon: it is there, and owes nothing yet (acumatica §10:
    /// invoices arrive On Hold).
    HeldBill,
    /// A draft is not due (procore §8.1 status).
    ApplicationInDraft,
    /// Under review (procore §8.1 status).
    ApplicationUnderReview,
    /// Returned for correction (procore §8.1 status).
    ApplicationReturned,
    /// The same number with spaces, linked by nothing else (acumatica §7 Invoice: `CustomerOrder`).
    ApplicationNumberSpelling,
    /// An AR invoice voided and entered again, with one number (acumatica §9: Voided).
    InvoiceVoidedAndReentered,
    /// Accounting bills retainage to the owner as an invoice of its own (acumatica §8).
    OwnerRetainageReleased,
    /// Approved in the evening, invoiced the next afternoon (acumatica §10).
    ApplicationInTime,
    /// A credit memo on no project (acumatica §7 Invoice).
    GoodwillCredit,
    /// A receipt that is applied to nothing yet (acumatica §7 Payment: `AvailableBalance`).
    OwnersDeposit,
    /// Half now, half a fortnight later, in both systems (acumatica §7 Check: `History`).
    PaidInTwoParts,
    /// One check pays the bills of two commitments (acumatica §7 Check: `History`).
    OneCheckForSeveral,
    /// A check is voided and another one written; Procore follows (acumatica §9: a void is a second document).
    CheckVoidedAndReissued,
    /// Voided the hour it was written, before Procore heard of it (acumatica §9).
    CheckVoidedSameDay,
    /// Two payees, two checks of one day on one bill (acumatica §8: `IsJointPayees`).
    JointCheck,
    /// Paid by ACH: no paper, still a Check of the ERP (acumatica §7: all AP disbursements).
    ElectronicPayment,
    /// Paid two percent less within the terms: the bill is closed, and nobody owes the rest (acumatica §7 Check:
    /// `CashDiscountTaken`).
    DiscountTaken,
    /// A payment in Procore that names no requisition (procore §8.3: `requisition_id` i?).
    PaymentWithoutRequisition,
    /// A payment that the bank rejected, in Procore alone (procore §8.3 status).
    PaymentRejected,
    /// A payment that is being reviewed in Procore has paid nothing yet (procore §8.3 status).
    PaymentInReview,
    /// A check on hold has paid nothing yet (acumatica §9).
    CheckOnHold,
    /// Paid in the evening, in Procore the next day (acumatica §10: payments issued ← paid invoices, daily).
    PaymentInTime,
    /// An accrual that the next month takes back (acumatica §7 `JournalTransaction`).
    AccrualReversed,
    /// A batch that is balanced and not posted (acumatica §9 Batch).
    UnpostedBatch,
    /// Payroll charged to a project by mistake and taken off again: two lines, no cost (acumatica §7
    /// `ProjectTransaction`).
    CostThereAndBack,
    /// A direct cost that nobody approved is no cost (procore §8.3 status).
    DirectCostInDraft,
    /// A project whose budget is still being made: other amounts in Procore than in the ERP, until it is locked (procore §6:
    /// `locked`; reconciliation §6 B1: locked budgets).
    BudgetBeingMade,
}

impl DecoyKind {
    /// Every kind.
    pub const ALL: [Self; 121] = [
        Self::OwnerIsNoVendor,
        Self::NameLegalForm,
        Self::NameAccents,
        Self::NameCase,
        Self::NameAmpersand,
        Self::PaddedVendorKey,
        Self::PhoneFormat,
        Self::StreetFormat,
        Self::ZipPlusFour,
        Self::EmailCase,
        Self::TaxIdFormat,
        Self::HeldPayments,
        Self::OneTimeVendor,
        Self::RemitElsewhere,
        Self::EmptyAndMissing,
        Self::CountrySpelled,
        Self::InactiveOnBothSides,
        Self::RenamedOnBothSides,
        Self::CustomerRenamed,
        Self::NeverUsedInProcore,
        Self::MergedCompany,
        Self::NamesakeRetired,
        Self::OverheadVendor,
        Self::EmployeeVendor,
        Self::StandardCodeUnused,
        Self::ErpCodeUnused,
        Self::PaddedCode,
        Self::CodeTitleSpelling,
        Self::DeletedCode,
        Self::BiddingProject,
        Self::LostBid,
        Self::DemoProject,
        Self::TemplateProject,
        Self::InternalProject,
        Self::ClosedOnBothSides,
        Self::ProjectNameSpelling,
        Self::BudgetTransfer,
        Self::BudgetChangeVoided,
        Self::BudgetLineOfNothing,
        Self::BudgetRowOfNothing,
        Self::NothingBilledYet,
        Self::DraftCommitment,
        Self::CommitmentToSign,
        Self::CommitmentOutForBid,
        Self::CommitmentVoidedUnsent,
        Self::DeletedBeforeSync,
        Self::BilledAndClosedInErp,
        Self::CompletedOnBothSides,
        Self::TerminatedAndCompleted,
        Self::VoidAndCanceled,
        Self::PendingPrinting,
        Self::PartiallyReceived,
        Self::TaxOnOrder,
        Self::CanceledSameDay,
        Self::OfficeOrder,
        Self::NumberSpelling,
        Self::OptionalFieldsEmpty,
        Self::CommitmentOfNothing,
        Self::CommitmentInTime,
        Self::ChangePendingInTime,
        Self::ChangeInDrawer,
        Self::ChangeRejected,
        Self::ChangeVoided,
        Self::ChangeWithoutCharge,
        Self::ChangeOfNothing,
        Self::ChangeWithOffsets,
        Self::DeductiveChange,
        Self::ChangeOfDays,
        Self::ChangeOnTwoCommitments,
        Self::ChangeOfRevenueAndCommitment,
        Self::ChangeNumberedByErp,
        Self::ChangeCanceledInErp,
        Self::CostBudgetChange,
        Self::ChangeInTime,
        Self::RequisitionInDraft,
        Self::RequisitionUnderReview,
        Self::RequisitionReturned,
        Self::RequisitionAtOwner,
        Self::RequisitionOfNothing,
        Self::ApprovedAsNoted,
        Self::BillInTwoPapers,
        Self::TwoRequisitionsOneBill,
        Self::BlankInvoiceNumber,
        Self::InvoiceNumberOfTwoVendors,
        Self::InvoiceNumberSpelling,
        Self::TaxOnBill,
        Self::RetainageRoundedByCent,
        Self::BillDatedEarlier,
        Self::NegativeRequisition,
        Self::RetainageReleasedInErp,
        Self::RetainageReleasedInBoth,
        Self::BillVoidedAndReentered,
        Self::DirectInvoice,
        Self::RequisitionInTime,
        Self::HeldBill,
        Self::ApplicationInDraft,
        Self::ApplicationUnderReview,
        Self::ApplicationReturned,
        Self::ApplicationNumberSpelling,
        Self::InvoiceVoidedAndReentered,
        Self::OwnerRetainageReleased,
        Self::ApplicationInTime,
        Self::GoodwillCredit,
        Self::OwnersDeposit,
        Self::PaidInTwoParts,
        Self::OneCheckForSeveral,
        Self::CheckVoidedAndReissued,
        Self::CheckVoidedSameDay,
        Self::JointCheck,
        Self::ElectronicPayment,
        Self::DiscountTaken,
        Self::PaymentWithoutRequisition,
        Self::PaymentRejected,
        Self::PaymentInReview,
        Self::CheckOnHold,
        Self::PaymentInTime,
        Self::AccrualReversed,
        Self::UnpostedBatch,
        Self::CostThereAndBack,
        Self::DirectCostInDraft,
        Self::BudgetBeingMade,
    ];

    /// Whether it asks something of the firm: a crosswalk file that says what belongs together, or the patience with a project so
    /// empty that no list of it proves anything.
    pub fn is_demanding(self) -> bool {
        matches!(
            self,
            Self::BillInTwoPapers | Self::TwoRequisitionsOneBill | Self::ClosedOnBothSides | Self::BudgetBeingMade
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_has_every_kind_once() {
        let listed: BTreeSet<DecoyKind> = DecoyKind::ALL.into_iter().collect();
        assert_eq!(listed.len(), DecoyKind::ALL.len());
        assert_eq!(listed.last().map(|kind| *kind as usize), Some(DecoyKind::ALL.len() - 1));
    }
}
