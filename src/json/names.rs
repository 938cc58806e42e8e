//! Fields that are known for what they hold by their names alone, in small letters and digits.

/// Names of what nobody outside may know, and no comparison needs.
const SECRET: [&str; 46] = [
    "aba",
    "abanumber",
    "achaccountnumber",
    "achroutingnumber",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "authtoken",
    "bankaccount",
    "bankaccountnbr",
    "bankaccountno",
    "bankaccountnumber",
    "bankrouting",
    "bankroutingnbr",
    "bankroutingno",
    "bankroutingnumber",
    "bsbnumber",
    "cardnumber",
    "clientsecret",
    "creditcardnumber",
    "cvv",
    "ein",
    "einnumber",
    "employeridentificationnumber",
    "federalid",
    "federalidnumber",
    "federaltaxid",
    "fedtaxid",
    "fein",
    "iban",
    "passwd",
    "password",
    "pwd",
    "refreshtoken",
    "routingnumber",
    "secret",
    "secretkey",
    "sessiontoken",
    "socialsecuritynumber",
    "sortcode",
    "ssn",
    "taxid",
    "taxidnumber",
    "taxpayerid",
    "taxpayeridentificationnumber",
];

/// Names of e-mail addresses and telephone numbers, by their ends.
const PERSONAL_ENDS: [&str; 12] = [
    "email",
    "emailaddress",
    "emailaddr",
    "fax",
    "faxnumber",
    "login",
    "mobile",
    "mobilenumber",
    "cell",
    "cellphone",
    "phone",
    "phonenumber",
];

/// Whether a field holds a secret, by its name in its plain form.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRET.contains(&name)
}

/// Whether a field may hold a secret, by the ends of its name as it is written: most may not.
pub(crate) fn may_be_secret(name: &str) -> bool {
    let is_begin = |letter: u8| matches!(letter, b'a' | b'b' | b'c' | b'e' | b'f' | b'i' | b'p' | b'r' | b's' | b't');
    let is_end = |letter: u8| matches!(letter, b'a' | b'd' | b'e' | b'g' | b'n' | b'o' | b'r' | b't' | b'v' | b'y');
    let is_odd = |letter: u8| !letter.is_ascii_alphabetic();
    let (first, last) = (name.bytes().next().unwrap_or(b'x'), name.bytes().last().unwrap_or(b'x'));
    let fits = |letter: u8, is_one: fn(u8) -> bool| is_odd(letter) || is_one(letter.to_ascii_lowercase());
    name.len() >= 3 && fits(first, is_begin) && fits(last, is_end)
}

/// Whether a field holds an e-mail address or a telephone number, by its name: `Phone1` and `business_phone` do.
pub(crate) fn is_personal(name: &str) -> bool {
    let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    PERSONAL_ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_and_others_are_left_alone() {
        assert!(
            SECRET.iter().all(|name| is_secret(name) && may_be_secret(name) && may_be_secret(&name.to_uppercase()))
        );
        for name in ["account", "accountnumber", "cashaccount", "number", "taxtotal", "token", "identifier", "bank"] {
            assert!(!is_secret(name), "{name}");
        }
        assert!(
            ["email", "phone1", "businessphone", "contactemailaddress", "login", "mobile2"].map(is_personal)
                == [true; 6]
        );
        assert!(["name", "phonetic", "excel", "cellar"].map(is_personal) == [false; 4]);
    }
}
