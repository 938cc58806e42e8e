//! Companies named as construction firms are (a family or a place, a trade, a legal form left out), and as somebody else enters
//! them: misspelt, abbreviated, words swapped and dropped, and with telephone, e-mail and address of some. Many share their words.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

const BEGINNINGS: [&str; 20] = [
    "hal", "ander", "carl", "mc", "o", "wil", "john", "robin", "fitz", "van", "gar", "mont", "ren", "sul", "whit",
    "bur", "tor", "el", "schu", "kow",
];
const ENDINGS: [&str; 20] = [
    "vorsen", "son", "ston", "donald", "brien", "liams", "stone", "field", "gerald", "dyke", "cia", "gomery", "shaw",
    "livan", "aker", "rows", "res", "more", "macher", "alski",
];
const PLACES: [&str; 16] = [
    "carolina",
    "piedmont",
    "queen city",
    "metrolina",
    "southern",
    "atlantic",
    "blue ridge",
    "catawba",
    "uptown",
    "national",
    "american",
    "east coast",
    "tri county",
    "lake norman",
    "premier",
    "quality",
];
const TRADES: [&str; 24] = [
    "electric",
    "electrical",
    "plumbing",
    "mechanical",
    "roofing",
    "drywall",
    "concrete",
    "steel",
    "masonry",
    "painting",
    "flooring",
    "glass",
    "excavating",
    "grading",
    "paving",
    "landscaping",
    "insulation",
    "fire protection",
    "elevator",
    "hvac",
    "interiors",
    "millwork",
    "demolition",
    "utilities",
];
const SECONDS: [&str; 10] = [
    "contractors",
    "services",
    "construction",
    "group",
    "brothers",
    "sons",
    "systems",
    "supply",
    "associates",
    "industries",
];
const SHORT: [(&str, &str); 8] = [
    ("electrical", "elec"),
    ("mechanical", "mech"),
    ("contractors", "contr"),
    ("construction", "const"),
    ("services", "svcs"),
    ("brothers", "bros"),
    ("associates", "assoc"),
    ("plumbing", "plbg"),
];

#[derive(Clone, Default)]
pub(crate) struct Company {
    pub(crate) name: String,
    pub(crate) phone: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) postal_code: Option<String>,
}

fn pick<'a>(list: &[&'a str], rng: &mut ChaCha8Rng) -> &'a str {
    list.choose(rng).copied().unwrap_or_default()
}

/// One of 8,400 families: some are large.
fn family(rng: &mut ChaCha8Rng) -> String {
    let middle = if rng.random_bool(0.8) { pick(&BEGINNINGS, rng) } else { "" };
    format!("{}{middle}{}", pick(&BEGINNINGS, rng), pick(&ENDINGS, rng))
}

pub(crate) fn company(rng: &mut ChaCha8Rng) -> Company {
    let first = if rng.random_bool(0.7) { family(rng) } else { pick(&PLACES, rng).to_owned() };
    let mut words = vec![first, pick(&TRADES, rng).to_owned()];
    if rng.random_bool(0.4) {
        words.insert(1, family(rng));
    }
    if rng.random_bool(0.6) {
        words.push(pick(&SECONDS, rng).to_owned());
    }
    let name = words.join(" ");
    let host = name.replace(' ', "");
    Company {
        phone: Some(format!("{:010}", rng.random_range(2_000_000_000u64..9_999_999_999))),
        email: Some(if rng.random_bool(0.3) { format!("{host}@gmail.com") } else { format!("office@{host}.com") }),
        address: Some(format!("{} {} ST", rng.random_range(1..9_999), pick(&PLACES, rng).to_uppercase())),
        postal_code: Some(format!("28{:03}", rng.random_range(0..300))),
        name,
    }
}

/// The same company as somebody else enters it.
pub(crate) fn otherwise(company: &Company, rng: &mut ChaCha8Rng) -> Company {
    let mut words: Vec<String> = company.name.split(' ').map(str::to_owned).collect();
    for word in &mut words {
        if let Some((_, short)) = SHORT.iter().find(|(long, _)| long == word)
            && rng.random_bool(0.3)
        {
            *word = (*short).to_owned();
        }
    }
    if words.len() > 2 && rng.random_bool(0.15) {
        words.pop();
    }
    if rng.random_bool(0.05) {
        words.swap(0, 1);
    }
    if rng.random_bool(0.3) {
        let place = rng.random_range(0..words.len());
        words[place] = misspelt(&words[place], rng);
    }
    let kept =
        |value: &Option<String>, share: f64, rng: &mut ChaCha8Rng| value.clone().filter(|_| rng.random_bool(share));
    Company {
        name: words.join(" "),
        phone: kept(&company.phone, 0.4, rng),
        email: kept(&company.email, 0.3, rng),
        address: kept(&company.address, 0.5, rng),
        postal_code: kept(&company.postal_code, 0.7, rng),
    }
}

/// A letter swapped with the next, dropped, doubled or taken for another.
fn misspelt(word: &str, rng: &mut ChaCha8Rng) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() < 3 {
        return word.to_owned();
    }
    let place = rng.random_range(1..letters.len() - 1);
    match rng.random_range(0..4) {
        0 => letters.swap(place, place + 1),
        1 => {
            letters.remove(place);
        }
        2 => letters.insert(place, letters[place]),
        _ => letters[place] = char::from(rng.random_range(b'a'..=b'z')),
    }
    letters.into_iter().collect()
}
