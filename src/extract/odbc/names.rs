//! Which name of the database a declared one is: exactly it, else the one that differs in case and underscores alone.

/// A name without case and underscores.
pub(crate) fn folded(name: &str) -> String {
    name.chars().filter(|letter| *letter != '_').flat_map(char::to_lowercase).collect()
}

/// How a declared name was found among those that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// One name.
    One(&'a str),
    /// None.
    None,
    /// Several, none of them exactly it.
    Several,
}

/// The name among `known` that a declared one is.
pub(crate) fn find<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> Found<'a> {
    if let Some(name) = known.clone().find(|name| *name == wanted) {
        return Found::One(name);
    }
    let wanted = folded(wanted);
    let mut alike = known.filter(|name| folded(name) == wanted);
    match (alike.next(), alike.next()) {
        (Some(name), None) => Found::One(name),
        (None, _) => Found::None,
        (Some(_), Some(_)) => Found::Several,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_underscores_are_no_difference_unless_they_are_the_only_one() {
        let of = |wanted, known: &[&'static str]| find(wanted, known.iter().copied());
        assert_eq!(of("APM_MASTER__VENDOR", &["apm_master_vendor", "x"]), Found::One("apm_master_vendor"));
        assert_eq!(of("Amount", &["AMOUNT", "Amount"]), Found::One("Amount"));
        assert_eq!(of("amount", &["AMOUNT", "Amount"]), Found::Several);
        assert_eq!(of("amount", &["amounts"]), Found::None);
    }
}
