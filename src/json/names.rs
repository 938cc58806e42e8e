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

/// How names of secrets begin.
const BEGINNINGS: [&[u8; 3]; 26] = [
    b"aba", b"ach", b"acc", b"api", b"aut", b"ban", b"bsb", b"car", b"cli", b"cre", b"cvv", b"ein", b"emp", b"fed",
    b"fei", b"iba", b"pas", b"pwd", b"ref", b"rou", b"sec", b"ses", b"soc", b"sor", b"ssn", b"tax",
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

/// Whether a field may hold a secret, by the beginning of its name as it is written: most may not.
pub(crate) fn may_be_secret(name: &str) -> bool {
    let Some(first) = name.as_bytes().first_chunk::<3>() else { return false };
    if !first.iter().all(u8::is_ascii_alphabetic) {
        return true;
    }
    BEGINNINGS.contains(&&first.map(|letter| letter.to_ascii_lowercase()))
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
