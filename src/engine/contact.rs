//! Keys of what people write on envelopes and cards: addresses, postal codes, phone numbers.
//!
//! Pure. Two texts with the same key name the same door or desk, as people would read them; the key is never shown.

/// Words of an address with the abbreviation that the post uses for them.
const ABBREVIATIONS: [(&str, &str); 30] = [
    ("STREET", "ST"),
    ("AVENUE", "AVE"),
    ("AV", "AVE"),
    ("ROAD", "RD"),
    ("BOULEVARD", "BLVD"),
    ("DRIVE", "DR"),
    ("LANE", "LN"),
    ("COURT", "CT"),
    ("PLACE", "PL"),
    ("CIRCLE", "CIR"),
    ("TERRACE", "TER"),
    ("TRAIL", "TRL"),
    ("SQUARE", "SQ"),
    ("HIGHWAY", "HWY"),
    ("PARKWAY", "PKWY"),
    ("SUITE", "STE"),
    ("FLOOR", "FL"),
    ("BUILDING", "BLDG"),
    ("APARTMENT", "APT"),
    ("ROOM", "RM"),
    ("NORTH", "N"),
    ("SOUTH", "S"),
    ("EAST", "E"),
    ("WEST", "W"),
    ("NORTHEAST", "NE"),
    ("NORTHWEST", "NW"),
    ("SOUTHEAST", "SE"),
    ("SOUTHWEST", "SW"),
    ("POB", "PO BOX"),
    ("POBOX", "PO BOX"),
];

/// An address without case and punctuation, in the post's abbreviations: `N. Tryon St., Suite 210` is
/// `North Tryon Street Ste 210`. Nothing left is null.
pub(crate) fn normalize_address(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .filter(|letter| !matches!(letter, '.' | '\'' | '’'))
        .flat_map(char::to_uppercase)
        .map(|letter| if letter.is_alphanumeric() { letter } else { ' ' })
        .collect();
    let short = |word| ABBREVIATIONS.iter().find(|(long, _)| *long == word).map_or(word, |(_, short)| *short);
    let key = plain.split_whitespace().map(short).collect::<Vec<_>>().join(" ");
    let key = key.replace("P O BOX", "PO BOX");
    (!key.is_empty()).then_some(key)
}

/// A postal code without case and separators; of an American ZIP+4 the five digits that everybody knows.
pub(crate) fn normalize_postal_code(text: &str) -> Option<String> {
    let key: String = text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_uppercase).collect();
    let is_zip = key.len() == 9 && key.bytes().all(|byte| byte.is_ascii_digit());
    let key = if is_zip { key.chars().take(5).collect() } else { key };
    (!key.is_empty()).then_some(key)
}

/// The digits of a phone number, without the 1 that calls North America.
pub(crate) fn normalize_phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let key = match digits.strip_prefix('1') {
        Some(national) if national.len() == 10 => national.to_owned(),
        _ => digits,
    };
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_door_in_two_spellings_is_one() {
        let same = |one: &str, other: &str| normalize_address(one) == normalize_address(other);
        assert!(same("1200 N. Tryon St., Suite 210", "1200 North Tryon Street Ste 210"));
        assert!(same("P.O. Box 7", "PO BOX 7") && same("POB 7", "po box 7"));
        assert!(!same("1200 N Tryon St", "1200 S Tryon St") && !same("12 Main St", "21 Main St"));
        assert!(!same("12 Park Ave", "12 Park Rd"));
        assert_eq!(normalize_address(" ., "), None);
    }

    #[test]
    fn the_carriers_route_is_no_other_place() {
        let same = |one: &str, other: &str| normalize_postal_code(one) == normalize_postal_code(other);
        assert!(same("28202", "28202-1417") && same("28202", "282021417") && same("K1A 0B1", "k1a0b1"));
        assert!(!same("28202", "28203") && !same("28202", "2820"));
        assert_eq!(normalize_postal_code("-"), None);
    }

    #[test]
    fn one_desk_by_two_ways_of_dialling() {
        let same = |one: &str, other: &str| normalize_phone(one) == normalize_phone(other);
        assert!(same("704-555-0142", "+1 (704) 555-0142") && same("704.555.0142", "7045550142"));
        assert!(!same("704-555-0142", "704-555-0143") && !same("1704555014", "704555014"));
        assert_eq!(normalize_phone("none"), None);
    }
}
