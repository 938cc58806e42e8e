//! Certificates in PEM files, wherever the settings name one.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The certificates in a PEM file, one at least.
///
/// # Errors
/// A file that cannot be read, or holds none.
pub(crate) fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let doing = || format!("read certificate {}", path.display());
    let pem = std::fs::read(path).with_context(doing)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().with_context(doing)?;
    if found.is_empty() {
        bail!("{}: it holds none\nhint: a PEM file with -----BEGIN CERTIFICATE-----", doing());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.crt");
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            format!("{:#}", read(&path).unwrap_err())
        };
        for text in ["", "no certificate"] {
            let error = said(text);
            assert!(error.contains("some.crt: it holds none\nhint:"), "{error}");
        }
        // Cut short, as by a full disk.
        let error = said("-----BEGIN CERTIFICATE-----\nMIIB\n");
        assert!(error.starts_with("read certificate") && error.contains("some.crt: "), "{error}");
        let error = format!("{:#}", read(&folder.path().join("gone")).unwrap_err());
        assert!(error.starts_with("read certificate") && error.contains("gone: No such file"), "{error}");
    }
}
