//! Who may log in: SCRAM-SHA-256 verifiers, rights and limits by role.
//!
//! Invariants: no password outlives the start, only what SCRAM needs to check one; a name that nobody has answers as one
//! that somebody has.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};
use pgwire::api::auth::{AuthSource, LoginInfo, Password as PgPassword};
use pgwire::error::{PgWireError, PgWireResult};
use rand::RngCore as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use crate::engine::{Access, MemoryShare};

/// The only method that a stored verifier may be of.
const METHOD: &str = "SCRAM-SHA-256";
/// Fewer rounds than Postgres' own would make guessing cheap.
const ITERATIONS_MIN: usize = 4096;
/// SHA-256.
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// Somebody who may log in.
#[derive(Clone)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// What the password is checked by.
    pub password: Password,
    /// What it may read; everything if nothing is said.
    pub access: Option<Arc<Access>>,
    /// How much of the server it may take.
    pub limits: RoleLimits,
}

impl User {
    /// Somebody with a password who may read everything.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        let password = Password::Plain(password.into());
        Self { name: name.into(), password, access: None, limits: RoleLimits::default() }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).field("access", &self.access).finish_non_exhaustive()
    }
}

/// How much of the server a role may take; what is `None` has no limit of the role's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleLimits {
    /// Connections at once.
    pub connections: Option<usize>,
    /// How long a statement may run, whatever its session sets.
    pub statement_timeout: Option<Duration>,
    /// Rows that one statement may fetch.
    pub rows: Option<u64>,
    /// Bytes that its queries together may hold in memory.
    pub memory_bytes: Option<usize>,
}

/// What a password is checked by.
#[derive(Clone)]
pub enum Password {
    /// The password itself; only a salted hash of it outlives the start.
    Plain(String),
    /// What PostgreSQL stores of one.
    Verifier(Verifier),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A stored SCRAM-SHA-256 verifier: it proves a password, and does not tell it.
#[derive(Clone)]
pub struct Verifier {
    iterations: usize,
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, as PostgreSQL keeps it in `pg_authid`.
    ///
    /// # Errors
    /// Another method, a part that is missing or no base64, too few iterations. Parts of the text are never quoted.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let hint = "hint: SCRAM-SHA-256$4096:salt$stored:server, as select rolpassword from pg_authid shows it in \
                    PostgreSQL; or give the password by { env = … } or { file = … }";
        let parts = || -> Option<(&str, &str, &str, &str, &str)> {
            let (method, rest) = text.trim().split_once('$')?;
            let (rounds, keys) = rest.split_once('$')?;
            let (iterations, salt) = rounds.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            Some((method, iterations, salt, stored, server))
        };
        let Some((method, iterations, salt, stored, server)) = parts() else {
            bail!("a SCRAM verifier has five parts\n{hint}");
        };
        if method != METHOD {
            bail!("the verifier is not of {METHOD}, the only method of the server\n{hint}");
        }
        let iterations: usize = iterations.parse().with_context(|| format!("its iterations are no number\n{hint}"))?;
        if iterations < ITERATIONS_MIN {
            bail!("its {iterations} iterations are fewer than {ITERATIONS_MIN}\n{hint}");
        }
        let bytes = |what: &str, text: &str| {
            base64(text).with_context(|| format!("the verifier's {what} is no base64\n{hint}"))
        };
        let (salt, stored_key, server_key) =
            (bytes("salt", salt)?, bytes("stored key", stored)?, bytes("server key", server)?);
        if salt.is_empty() || stored_key.len() != HASH_BYTES || server_key.len() != HASH_BYTES {
            bail!("the verifier's keys have {HASH_BYTES} bytes each, and its salt some\n{hint}");
        }
        Ok(Self { iterations, salt, stored_key, server_key })
    }

    fn of(password: &str) -> Self {
        let mut salt = vec![0; SALT_BYTES];
        rand::rng().fill_bytes(&mut salt);
        let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
        match ScramSecret::verifier_from_salted_password(salt, salted, SCRAM_ITERATIONS) {
            ScramSecret::Verifier { salt, iterations, stored_key, server_key } => {
                Self { iterations, salt, stored_key, server_key }
            }
            // The call makes the other kind only.
            ScramSecret::SaltedPassword { salt, .. } => Self::unknown_with(salt),
        }
    }

    /// Of a password that nobody knows.
    fn unknown_with(salt: Vec<u8>) -> Self {
        let mut keys = [0; 2 * HASH_BYTES];
        rand::rng().fill_bytes(&mut keys);
        let (stored, server) = keys.split_at(HASH_BYTES);
        Self { iterations: SCRAM_ITERATIONS, salt, stored_key: stored.to_vec(), server_key: server.to_vec() }
    }

    /// Whether it is the verifier of this password.
    fn is_of(&self, password: &str) -> bool {
        let salted = gen_salted_password(password, &self.salt, self.iterations);
        match ScramSecret::verifier_from_salted_password(self.salt.clone(), salted, self.iterations) {
            // All bytes are looked at, whichever differs first.
            ScramSecret::Verifier { stored_key, .. } => {
                stored_key.len() == self.stored_key.len()
                    && stored_key.iter().zip(&self.stored_key).fold(0, |unlike, (a, b)| unlike | (a ^ b)) == 0
            }
            ScramSecret::SaltedPassword { .. } => false,
        }
    }

    fn secret(&self) -> ScramSecret {
        ScramSecret::Verifier {
            salt: self.salt.clone(),
            iterations: self.iterations,
            stored_key: self.stored_key.clone(),
            server_key: self.server_key.clone(),
        }
    }
}

/// The bytes of a base64 text with its padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in digits.bytes() {
        held = (held << 6) | u32::from(digit(letter)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from((held >> bits) & 0xff));
        }
    }
    Some(bytes)
}

/// Refuses passwords that everybody knows.
pub(crate) fn are_safe(users: &[User]) -> anyhow::Result<()> {
    let is_open = |user: &&User| matches!(&user.password, Password::Plain(password) if password.is_empty());
    if let Some(user) = users.iter().find(is_open) {
        bail!("role {} has an empty password: everybody could log in as it", user.name);
    }
    Ok(())
}

/// A role, ready to be logged in as.
#[derive(Debug)]
pub(crate) struct Role {
    verifier: Verifier,
    pub(crate) access: Option<Arc<Access>>,
    pub(crate) limits: RoleLimits,
    pub(crate) memory: Option<Arc<MemoryShare>>,
    connections: Option<Arc<Semaphore>>,
}

impl Role {
    /// A connection of the role's, until it is dropped; none where they are not counted.
    pub(crate) fn connect(&self, name: &str) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let Some(connections) = &self.connections else { return Ok(None) };
        let permit = Arc::clone(connections).try_acquire_owned();
        permit.map(Some).map_err(|_| {
            let most = self.limits.connections.unwrap_or_default();
            Failure::new("53300", format!("too many connections for role \"{name}\""))
                .hint(format!("it may have {most}: close others, or raise [[roles]] max_connections"))
        })
    }
}

/// All roles by name.
pub(crate) struct Users {
    roles: HashMap<String, Arc<Role>>,
    /// The salt that a name which nobody has is answered with: the same each time, as a real one's is.
    pepper: [u8; SALT_BYTES],
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.roles.keys()).finish()
    }
}

impl Users {
    pub(crate) fn new(users: &[User]) -> Self {
        let role = |user: &User| {
            let verifier = match &user.password {
                Password::Plain(password) => Verifier::of(password),
                Password::Verifier(verifier) => verifier.clone(),
            };
            let (access, limits) = (user.access.clone(), user.limits);
            let connections = limits.connections.map(|most| Arc::new(Semaphore::new(most)));
            let memory = limits.memory_bytes.map(|most| Arc::new(MemoryShare::new(&user.name, most)));
            (user.name.clone(), Arc::new(Role { verifier, access, limits, memory, connections }))
        };
        let mut pepper = [0; SALT_BYTES];
        rand::rng().fill_bytes(&mut pepper);
        Self { roles: users.iter().map(role).collect(), pepper }
    }

    pub(crate) fn role(&self, name: &str) -> Option<Arc<Role>> {
        self.roles.get(name).map(Arc::clone)
    }

    /// Whether a password is the role's. A name that nobody has takes as long.
    pub(crate) fn proves(&self, name: &str, password: &str) -> bool {
        if let Some(role) = self.roles.get(name) {
            return role.verifier.is_of(password);
        }
        Verifier::unknown_with(self.salt_of_nobody(name)).is_of(password);
        false
    }

    fn salt_of_nobody(&self, name: &str) -> Vec<u8> {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        hash.update(self.pepper);
        hash.update(name.as_bytes());
        hash.finalize().into_iter().take(SALT_BYTES).collect()
    }
}

#[async_trait]
impl AuthSource for Users {
    async fn get_password(&self, _: &LoginInfo) -> PgWireResult<PgPassword> {
        // SCRAM asks for the secret below; nothing else is offered.
        Err(PgWireError::InvalidScramMessage("only SCRAM-SHA-256 is offered".to_owned()))
    }

    async fn get_scram_secret(&self, login: &LoginInfo) -> PgWireResult<(ScramSecret, Option<()>)> {
        let name = login.user().unwrap_or_default();
        let secret = match self.roles.get(name) {
            Some(role) => role.verifier.secret(),
            // The exchange does not tell names that nobody has apart.
            None => Verifier::unknown_with(self.salt_of_nobody(name)).secret(),
        };
        Ok((secret, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\
                          //////////////////////////////////////////8=";

    #[test]
    fn a_verifier_is_read_as_postgres_stores_it() {
        let verifier = Verifier::parse(STORED).unwrap();
        assert_eq!((verifier.iterations, verifier.salt.as_slice()), (4096, &b"0123456789abcdef"[..]));
        assert_eq!((verifier.stored_key, verifier.server_key), (vec![0; 32], vec![0xff; 32]));
        for (text, expected) in [
            ("md5abc", "five parts"),
            (&STORED.replace("256", "1"), "not of SCRAM-SHA-256"),
            (&STORED.replace("4096", "many"), "no number"),
            (&STORED.replace("4096", "1"), "fewer than 4096"),
            (&STORED.replace("MDEy", "M*Ey"), "salt is no base64"),
            (&STORED.replace("AAAAAAAA=:", "AAAA=:"), "32 bytes"),
        ] {
            let error = format!("{:#}", Verifier::parse(text).unwrap_err());
            assert!(error.contains(expected) && error.contains("hint:"), "{text}: {error}");
            assert!(!error.contains("AAAAA"), "{error}");
        }
    }

    #[test]
    fn nobody_has_the_same_salt_each_time() {
        let users = Users::new(&[]);
        assert_eq!(users.salt_of_nobody("eve"), users.salt_of_nobody("eve"));
        assert_ne!(users.salt_of_nobody("eve"), users.salt_of_nobody("mallory"));
        assert_ne!(users.salt_of_nobody("eve"), Users::new(&[]).salt_of_nobody("eve"));
    }

    #[test]
    fn a_password_is_proved_as_scram_proves_it() {
        let plain = User::new("ada", "secret");
        let stored = Password::Verifier(Verifier::of("stored"));
        let users = Users::new(&[plain, User { password: stored, ..User::new("bob", "") }]);
        for (name, password, is_right) in [
            ("ada", "secret", true),
            ("ada", "Secret", false),
            ("ada", "", false),
            ("bob", "stored", true),
            ("bob", "secret", false),
            ("eve", "secret", false),
        ] {
            assert_eq!(users.proves(name, password), is_right, "{name} {password}");
        }
    }

    #[tokio::test]
    async fn a_role_has_so_many_connections() {
        let limits = RoleLimits { connections: Some(1), ..RoleLimits::default() };
        let users = Users::new(&[User { limits, ..User::new("ada", "secret") }]);
        let role = users.role("ada").unwrap();
        let held = role.connect("ada").unwrap();
        assert_eq!(role.connect("ada").unwrap_err().code, "53300");
        drop(held);
        assert!(role.connect("ada").is_ok());
    }
}
