//! Which companies of two systems may be the same, and why: suggestions for a person, never links.
//!
//! Two names are compared by their words, and a word weighs what it tells: its inverse document frequency over both lists,
//! ln(1 + N / df), so that ELECTRIC says little and HALVORSEN much. Words that differ a little count by their Jaro-Winkler
//! similarity (soft TF-IDF, Cohen, Ravikumar, Fienberg 2003). Beside the name stand tax id, telephone, e-mail and address.
//! Not everything is compared with everything: only companies that share something rare.
//!
//! Invariants: the result depends on nothing but the two lists; two tax ids that are known and differ are two companies; a
//! score is no probability, it orders.
#![expect(clippy::float_arithmetic, reason = "likeness is no money")]

mod candidates;
mod names;

pub use names::jaro_winkler;

use candidates::Candidates;
use names::Names;

/// How many suggestions a company gets.
const SUGGESTED_MAX: usize = 3;
/// Below this nobody is asked to look.
const SCORE_MIN: f64 = 0.55;
/// A name that is less like the other needs two other reasons.
const NAME_MIN: f64 = 0.55;
/// Mail hosts that say nothing of the company.
const PUBLIC_HOSTS: [&str; 12] = [
    "aol.com",
    "att.net",
    "comcast.net",
    "gmail.com",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "msn.com",
    "outlook.com",
    "sbcglobal.net",
    "verizon.net",
    "yahoo.com",
];

/// A company as one side knows it. All texts are normalised: equal means the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Party<'a> {
    /// Words of the name, lower case, without legal form, separated by blanks.
    pub name: &'a str,
    /// A keyed hash of the tax id.
    pub tax_id: Option<&'a str>,
    /// First address line.
    pub address: Option<&'a str>,
    /// Postal code.
    pub postal_code: Option<&'a str>,
    /// Telephone number.
    pub phone: Option<&'a str>,
    /// E-mail address.
    pub email: Option<&'a str>,
}

/// What two companies have in common beside their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The same tax id.
    TaxId,
    /// The same e-mail address.
    Email,
    /// E-mail addresses on one host that is the company's own.
    EmailHost,
    /// The same telephone number.
    Phone,
    /// The same address line, and no other postal code.
    Address,
    /// The same postal code.
    PostalCode,
}

impl Evidence {
    /// As people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaxId => "tax id",
            Self::Email => "e-mail",
            Self::EmailHost => "e-mail host",
            Self::Phone => "phone",
            Self::Address => "address",
            Self::PostalCode => "postal code",
        }
    }

    /// How far it goes towards certainty.
    fn weight(self) -> f64 {
        match self {
            Self::TaxId => 0.95,
            Self::Email => 0.7,
            Self::Phone => 0.6,
            Self::EmailHost => 0.5,
            Self::Address => 0.4,
            Self::PostalCode => 0.1,
        }
    }
}

/// Two companies that may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Place in the first list.
    pub pm: usize,
    /// Place in the second list.
    pub erp: usize,
    /// 1 is the best for this company of the first list.
    pub place: usize,
    /// All reasons together, in hundredths.
    pub score: u8,
    /// How alike the names are, in hundredths.
    pub name_score: u8,
    /// What else they have in common, the strongest first.
    pub evidence: Vec<Evidence>,
}

/// For each company of the first list those of the second that may be the same, the best first, by place in the first.
pub fn suggest(pm: &[Party<'_>], erp: &[Party<'_>]) -> Vec<Suggestion> {
    let names = Names::new(pm.iter().chain(erp).map(|party| party.name));
    let (own, others) = names.split_at(pm.len());
    let candidates = Candidates::new(erp, &names, pm.len());
    let mut suggestions = Vec::new();
    for (place, (party, name)) in pm.iter().zip(own).enumerate() {
        let mut found: Vec<(f64, Suggestion)> = Vec::new();
        for other in candidates.of(party, name) {
            let (Some(counterpart), Some(their_name)) = (erp.get(other), others.get(other)) else { continue };
            let Some((score, name_score, evidence)) = compare(party, counterpart, name.likeness(their_name)) else {
                continue;
            };
            let suggestion = Suggestion {
                pm: place,
                erp: other,
                place: 0,
                score: hundredths(score),
                name_score: hundredths(name_score),
                evidence,
            };
            found.push((score, suggestion));
        }
        found.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.erp.cmp(&other.1.erp)));
        let best = found.into_iter().take(SUGGESTED_MAX).enumerate();
        suggestions.extend(best.map(|(before, (_, found))| Suggestion { place: before + 1, ..found }));
    }
    suggestions
}

/// Score, likeness of the names, evidence; none where nobody needs to look.
fn compare(party: &Party<'_>, other: &Party<'_>, likeness: f64) -> Option<(f64, f64, Vec<Evidence>)> {
    if party.tax_id.is_some() && other.tax_id.is_some() && party.tax_id != other.tax_id {
        return None;
    }
    let evidence = evidence(party, other);
    let strong = evidence.iter().filter(|evidence| evidence.weight() >= Evidence::Address.weight()).count();
    if likeness < NAME_MIN && strong < 2 && !evidence.contains(&Evidence::TaxId) {
        return None;
    }
    // Squared: half a name is a quarter of a reason.
    let doubt = evidence.iter().fold(1.0 - likeness * likeness, |doubt, evidence| doubt * (1.0 - evidence.weight()));
    let score = 1.0 - doubt;
    (score >= SCORE_MIN).then_some((score, likeness, evidence))
}

fn evidence(party: &Party<'_>, other: &Party<'_>) -> Vec<Evidence> {
    let same = |one: Option<&str>, other: Option<&str>| one.is_some() && one == other;
    let differ = |one: Option<&str>, other: Option<&str>| one.is_some() && other.is_some() && one != other;
    let has_email = same(party.email, other.email);
    let has_host = !has_email && same(own_host(party), own_host(other));
    let has_postal_code = same(party.postal_code, other.postal_code);
    let has_address = same(party.address, other.address) && !differ(party.postal_code, other.postal_code);
    [
        (Evidence::TaxId, same(party.tax_id, other.tax_id)),
        (Evidence::Email, has_email),
        (Evidence::Phone, same(party.phone, other.phone)),
        (Evidence::EmailHost, has_host),
        (Evidence::Address, has_address),
        (Evidence::PostalCode, has_postal_code && !has_address),
    ]
    .into_iter()
    .filter_map(|(evidence, is_there)| is_there.then_some(evidence))
    .collect()
}

/// The host of its e-mail address, unless anybody may have one there.
fn own_host<'a>(party: &Party<'a>) -> Option<&'a str> {
    let (_, host) = party.email?.rsplit_once('@')?;
    (!host.is_empty() && !PUBLIC_HOSTS.contains(&host)).then_some(host)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
fn hundredths(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Party<'_> {
        Party { name, ..Party::default() }
    }

    fn told(pm: &[Party<'_>], erp: &[Party<'_>]) -> Vec<(usize, usize, usize)> {
        suggest(pm, erp).iter().map(|found| (found.pm, found.erp, found.place)).collect()
    }

    #[test]
    fn rare_words_weigh_more_than_common_ones() {
        let erp = [
            named("halvorsen electric"),
            named("carolina electric"),
            named("metro electric"),
            named("queen city electric"),
            named("halverson electrical"),
        ];
        assert_eq!(told(&[named("halvorsen electrical")], &erp), [(0, 4, 1), (0, 0, 2)]);
        assert_eq!(told(&[named("electric")], &erp), []);
    }

    #[test]
    fn two_tax_ids_are_two_companies() {
        let known = |tax_id| Party { tax_id: Some(tax_id), ..named("acme roofing") };
        assert_eq!(told(&[known("a")], &[known("b")]), []);
        assert_eq!(told(&[known("a")], &[known("a"), named("acme roofing")]), [(0, 0, 1), (0, 1, 2)]);
        assert_eq!(told(&[named("acme roofing")], &[known("b")]), [(0, 0, 1)]);
    }

    #[test]
    fn another_name_needs_two_other_reasons() {
        let pm = Party { phone: Some("5550100"), email: Some("ap@acme.com"), ..named("acme roofing") };
        let by_phone = Party { phone: Some("5550100"), ..named("southern holdings") };
        let by_both = Party { phone: Some("5550100"), email: Some("office@acme.com"), ..named("southern holdings") };
        assert_eq!(told(&[pm], &[by_phone]), []);
        let found = suggest(&[pm], &[by_phone, by_both]);
        assert_eq!(found.iter().map(|found| found.erp).collect::<Vec<_>>(), [1]);
        assert_eq!(found[0].evidence, [Evidence::Phone, Evidence::EmailHost]);
        assert_eq!((found[0].score, found[0].name_score), (80, 0));
    }

    #[test]
    fn a_host_that_anybody_uses_is_no_reason() {
        let mail = |email| Party { email: Some(email), ..Party::default() };
        assert_eq!(evidence(&mail("a@gmail.com"), &mail("b@gmail.com")), []);
        assert_eq!(evidence(&mail("a@gmail.com"), &mail("a@gmail.com")), [Evidence::Email]);
        assert_eq!(evidence(&mail("nobody"), &mail("nobody at all")), []);
    }

    #[test]
    fn one_street_in_two_towns_is_two_addresses() {
        let at = |postal_code| Party { address: Some("12 MAIN ST"), postal_code, ..Party::default() };
        assert_eq!(evidence(&at(Some("28202")), &at(Some("28202"))), [Evidence::Address]);
        assert_eq!(evidence(&at(Some("28202")), &at(None)), [Evidence::Address]);
        assert_eq!(evidence(&at(Some("28202")), &at(Some("29708"))), []);
    }

    #[test]
    fn nothing_is_like_nothing() {
        assert_eq!(told(&[named("")], &[named("")]), []);
        assert_eq!(told(&[], &[named("acme")]), []);
        assert_eq!(told(&[named("acme")], &[]), []);
    }
}
