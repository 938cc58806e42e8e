//! Links that whoever has them may open: without what signs them.

/// Parameters of which one is enough to open a link, in small letters.
const SIGNATURES: [&str; 14] = [
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-goog-signature",
    "signature",
    "sig",
    "policy",
    "key-pair-id",
    "awsaccesskeyid",
    "googleaccessid",
    "token",
    "access_token",
    "auth",
    "jwt",
];

/// A signed link without its query; none if the text is no link, or is not signed.
fn unsigned(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| scheme.len() <= 5)?;
    let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let (_, query) = rest.split_once('?').filter(|_| is_web)?;
    let names = query.split(['&', ';', '#']).map(|pair| pair.split('=').next().unwrap_or_default());
    let is_signature = |name: &str| SIGNATURES.iter().any(|known| known.eq_ignore_ascii_case(name));
    let is_signed = names.into_iter().any(is_signature);
    is_signed.then(|| text.split('?').next().unwrap_or_default().to_owned())
}

/// A text without the queries of its signed links, wherever they stand in it.
pub fn without_signatures(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | '>' | ')' | ']');
    text.split_inclusive(is_end)
        .map(|piece| {
            let body = piece.trim_end_matches(is_end);
            let small = body.to_ascii_lowercase();
            let begin = small.find("http://").or_else(|| small.find("https://"));
            match begin.and_then(|begin| Some((begin, unsigned(body.get(begin..)?)?))) {
                Some((begin, link)) => format!(
                    "{}{link}{}",
                    body.get(..begin).unwrap_or_default(),
                    piece.get(body.len()..).unwrap_or_default()
                ),
                None => piece.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_links_lose_their_query_and_others_keep_it() {
        let signed = "https://s3.example/f.pdf?X-Amz-Date=1&X-Amz-Signature=abc";
        assert_eq!(unsigned(signed).as_deref(), Some("https://s3.example/f.pdf"));
        assert_eq!(unsigned("https://b.example/f?se=2026&SIG=x%3D").as_deref(), Some("https://b.example/f"));
        for text in ["https://x.example/?page=2", "https://x.example/f.pdf", "see a://b?sig=1", "?sig=1", ""] {
            assert_eq!(unsigned(text), None, "{text}");
        }
        let text = format!("see <a href=\"{signed}\">it</a> and {signed}, or https://x.example/?page=2");
        let kept =
            "see <a href=\"https://s3.example/f.pdf\">it</a> and https://s3.example/f.pdf or https://x.example/?page=2";
        assert_eq!(without_signatures(&text), kept);
        assert_eq!(without_signatures("HTTPS://b.example/f?SIG=x"), "HTTPS://b.example/f");
    }
}
