//! Bytes of a run that wait on the disk under a key that only this process has, and that ends with it.
//!
//! What a source sent is not redacted yet while its list may still turn out not to have held still, and nothing that is not
//! redacted may be found on a disk. The file has no name: it is gone when the process is, however that ends.
//!
//! Leaves out: rows that were redacted and wait for the commit (`gathered`) or for another run (`staging`).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use rand::RngCore as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// A file without a name in the temporary folder, and the key to it.
#[derive(Debug)]
pub(super) struct SealedFile {
    key: LessSafeKey,
    /// The file and where it ends.
    file: Mutex<(File, u64)>,
}

/// Where some bytes are in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedPart {
    offset: u64,
    /// With the tag behind them.
    length: usize,
}

impl SealedPart {
    /// Bytes that went in.
    pub(super) fn length(self) -> usize {
        self.length - AES_256_GCM.tag_len()
    }
}

impl SealedFile {
    /// # Errors
    /// The temporary folder cannot be written to.
    pub(super) fn create() -> io::Result<Self> {
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| io::Error::other("no key could be made"))?;
        Ok(Self { key: LessSafeKey::new(key), file: Mutex::new((tempfile::tempfile()?, 0)) })
    }

    /// Puts bytes at the end.
    ///
    /// # Errors
    /// The disk is full. Nothing is lost then: the next bytes go where these did not.
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<SealedPart> {
        let mut bytes = bytes.to_vec();
        let mut state = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, end) = &mut *state;
        let offset = *end;
        // Counted before they are written: a nonce must never seal two texts, also if the first was not written whole.
        *end += (bytes.len() + AES_256_GCM.tag_len()) as u64;
        let sealed = self.key.seal_in_place_append_tag(nonce(offset), Aad::empty(), &mut bytes);
        sealed.map_err(|_| io::Error::other("the bytes could not be sealed"))?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&bytes)?;
        Ok(SealedPart { offset, length: bytes.len() })
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// The disk does not give them, or gives others.
    pub(super) fn read(&self, part: SealedPart) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; part.length];
        {
            let mut state = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            state.0.seek(SeekFrom::Start(part.offset))?;
            state.0.read_exact(&mut bytes)?;
        }
        let opened = self.key.open_in_place(nonce(part.offset), Aad::empty(), &mut bytes);
        let length = opened.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the bytes were altered"))?.len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Of a part: no two begin at one place.
fn nonce(offset: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes.iter_mut().zip(offset.to_le_bytes()).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_nothing_is_on_the_disk_in_clear() {
        let sealed = SealedFile::create().unwrap();
        let texts = ["123-45-6789 ".repeat(1000), "12-3456789 ".repeat(10), String::new()];
        let parts: Vec<SealedPart> = texts.iter().map(|text| sealed.append(text.as_bytes()).unwrap()).collect();
        let mut written = Vec::new();
        {
            let mut state = sealed.file.lock().unwrap();
            state.0.seek(SeekFrom::Start(0)).unwrap();
            state.0.read_to_end(&mut written).unwrap();
        }
        assert_eq!(written.len(), texts.iter().map(|text| text.len() + 16).sum::<usize>());
        for secret in ["123-45-6789", "12-3456789"] {
            assert!(!written.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
        }
        for (text, part) in texts.iter().zip(&parts).rev() {
            assert_eq!(sealed.read(*part).unwrap(), text.as_bytes());
        }
        let state = sealed.file.lock().unwrap();
        (&state.0).seek(SeekFrom::Start(5)).unwrap();
        (&state.0).write_all(b"!").unwrap();
        drop(state);
        assert!(sealed.read(parts[0]).unwrap_err().to_string().contains("altered"));
    }
}
