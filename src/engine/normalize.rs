//! Normalised twins of what people type: numbers and names.
//!
//! Pure. Two texts with the same key are candidates for the same thing; the key is never shown in place of the text.

/// What a vendor's name means nothing by.
const NAME_NOISE: [&str; 21] = [
    "inc",
    "incorporated",
    "llc",
    "ltd",
    "limited",
    "co",
    "corp",
    "corporation",
    "company",
    "lp",
    "llp",
    "pllc",
    "pc",
    "plc",
    "gmbh",
    "dba",
    "the",
    "and",
    "customer",
    "lllp",
    "pa",
];

/// A document's number without case, separators next to letters, and leading zeros: `CO #007` and `co-7` are `CO7`.
///
/// A separator between two runs of digits stays, so that `1-11` and `11-1` differ. Nothing left is null.
pub(crate) fn normalize_number(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    for run in runs(text) {
        let digits = run.starts_with(|first: char| first.is_ascii_digit());
        let run = if digits { run.trim_start_matches('0') } else { run.as_str() };
        let run = if digits && run.is_empty() { "0" } else { run };
        if digits && key.ends_with(|last: char| last.is_ascii_digit()) {
            key.push('-');
        }
        key.push_str(run);
    }
    (!key.is_empty()).then_some(key)
}

/// Runs of digits and runs of letters, upper case.
fn runs(text: &str) -> Vec<String> {
    let mut runs: Vec<String> = Vec::new();
    let mut before = None;
    for letter in text.chars().flat_map(fold).flat_map(char::to_uppercase) {
        let class = letter.is_alphanumeric().then(|| letter.is_ascii_digit());
        if let Some(digit) = class {
            match runs.last_mut().filter(|_| before == Some(digit)) {
                Some(run) => run.push(letter),
                None => runs.push(letter.to_string()),
            }
        }
        before = class;
    }
    runs
}

/// A name without case, accents, punctuation, legal form, "dba", "the", "&"/"and", "(Customer)".
///
/// A name that is nothing but noise keeps its words. Nothing left is null.
pub(crate) fn normalize_name(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars().flat_map(fold).flat_map(char::to_lowercase) {
        match letter {
            '.' | '\'' | '’' => {}
            '&' | '+' => plain.push_str(" and "),
            letter if letter.is_alphanumeric() => plain.push(letter),
            _ => plain.push(' '),
        }
    }
    // "d/b/a" and "c o" fall apart into single letters; only the first is common enough to mend.
    let plain = plain.replace(" d b a ", " dba ");
    let words: Vec<&str> = plain.split_whitespace().collect();
    let kept: Vec<&str> = words.iter().copied().filter(|word| !NAME_NOISE.contains(word)).collect();
    let key = if kept.is_empty() { words.join(" ") } else { kept.join(" ") };
    (!key.is_empty()).then_some(key)
}

/// Latin letters without their accents; everything else as it is.
fn fold(letter: char) -> impl Iterator<Item = char> {
    let plain = match letter {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'Ç' | 'Ć' | 'Č' => "C",
        'ç' | 'ć' | 'č' => "c",
        'È'..='Ë' | 'Ē' | 'Ę' | 'Ě' => "E",
        'è'..='ë' | 'ē' | 'ę' | 'ě' => "e",
        'Ì'..='Ï' | 'Ī' | 'İ' => "I",
        'ì'..='ï' | 'ī' | 'ı' => "i",
        'Ñ' | 'Ń' | 'Ň' => "N",
        'ñ' | 'ń' | 'ň' => "n",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ő' => "O",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'Ù'..='Ü' | 'Ū' | 'Ů' | 'Ű' => "U",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' => "u",
        'Ý' | 'Ÿ' => "Y",
        'ý' | 'ÿ' => "y",
        'Š' | 'Ś' => "S",
        'š' | 'ś' => "s",
        'Ž' | 'Ź' | 'Ż' => "Z",
        'ž' | 'ź' | 'ż' => "z",
        'Ł' => "L",
        'ł' => "l",
        'ß' => "ss",
        'Æ' => "AE",
        'æ' => "ae",
        'Œ' => "OE",
        'œ' => "oe",
        // Combining accents of a decomposed text.
        '\u{300}'..='\u{36f}' => "",
        _ => return Folded { letter: Some(letter), plain: "".chars() },
    };
    Folded { letter: None, plain: plain.chars() }
}

struct Folded {
    letter: Option<char>,
    plain: std::str::Chars<'static>,
}

impl Iterator for Folded {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.letter.take().or_else(|| self.plain.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_people_read_as_equal_are_equal() {
        for same in ["CO #007", "co-7", "CO7", " Co 07 "] {
            assert_eq!(normalize_number(same).as_deref(), Some("CO7"), "{same}");
        }
        assert_ne!(normalize_number("1-11"), normalize_number("11-1"));
        assert_eq!(normalize_number("SC-0010-02").as_deref(), Some("SC10-2"));
        assert_eq!(normalize_number("000").as_deref(), Some("0"));
        assert_eq!(normalize_number(" - "), None);
    }

    #[test]
    fn names_lose_form_accents_and_punctuation_only() {
        for same in ["The Peña & Sons Co., L.L.C.", "PENA AND SONS", "Pen\u{303}a Sons (Customer)", "Pena + Sons, Inc."]
        {
            assert_eq!(normalize_name(same).as_deref(), Some("pena sons"), "{same}");
        }
        assert_eq!(normalize_name("A. Smith d/b/a Smith's").as_deref(), Some("a smith smiths"));
        assert_eq!(normalize_name("The Company").as_deref(), Some("the company"));
        assert_eq!(normalize_name("  "), None);
    }
}
