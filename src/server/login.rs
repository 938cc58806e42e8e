//! From a new socket to a session: SCRAM-SHA-256, the database name's as-of, the startup packet's settings.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use pgwire::api::auth::mechanism::AuthMechanismFactory as _;
use pgwire::api::auth::sasl::SaslMechanisms;
use pgwire::api::auth::sasl::scram::ScramAuth;
use pgwire::api::auth::{
    AuthDriver, AuthOutcome, AuthSource, ServerParameterProvider, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::{ClientInfo, METADATA_DATABASE, METADATA_USER};
use pgwire::error::PgWireError;
use pgwire::messages::PgWireFrontendMessage as Message;
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::startup::Startup;

use super::audit::{Event, Line, Who, with_statements};
use super::encoding::ClientEncoding;
use super::failure::{Failure, INVALID_VALUE, PROTOCOL};
use super::familiar::Familiar;
use super::plans::Plans;
use super::session::Session;
use super::settings::{REPORTED, Settings, startup_options};
use super::teller::Teller;
use super::users::Role;
use super::wire::Socket;
use super::{DATABASE, SessionRequest, Shared, catalog, databases};

/// The SQLSTATE of a password that is not the role's.
pub(super) const WRONG_PASSWORD: &str = "28P01";

/// What a session starts with is only known after the password was right.
#[derive(Default)]
struct Reported(OnceLock<HashMap<String, String>>);

impl ServerParameterProvider for Reported {
    fn server_parameters<C: ClientInfo>(&self, _client: &C) -> Option<HashMap<String, String>> {
        self.0.get().cloned()
    }
}

/// Logs a client in and makes its session; `None` when the connection only carried a cancel request.
pub(crate) async fn login(socket: &mut Socket, shared: &Arc<Shared>) -> Result<Option<Session>, Failure> {
    let startup = match next(socket).await? {
        Message::CancelRequest(request) => {
            shared.cancels.cancel(request.pid, &request.secret_key).await;
            return Ok(None);
        }
        Message::Startup(startup) => startup,
        _ => return Err(Failure::new(PROTOCOL, "expected a startup packet").fatal()),
    };
    protocol_negotiation(socket, &startup).await?;
    save_startup_parameters_to_metadata(socket, &startup);

    let peer = socket.socket_addr().ip();
    let who = who(&startup, peer, shared);
    let opened = Box::pin(open(socket, shared, &startup, &who)).await;
    match &opened {
        Ok(session) => {
            shared.attempts.succeeded(peer);
            session.tell(Event::Login);
        }
        Err(failure) => {
            refused(&startup, &who, failure, shared);
            let wait = if failure.code == WRONG_PASSWORD {
                shared.attempts.failed(peer, Instant::now())
            } else {
                Duration::ZERO
            };
            tracing::warn!(role = %who.role, %peer, code = failure.code, ?wait, "a login failed: {}", failure.message);
            tokio::time::sleep(wait).await;
        }
    }
    opened.map(Some)
}

/// Has the client prove its password, then makes its session.
async fn open(
    socket: &mut Socket,
    shared: &Arc<Shared>,
    startup: &Startup,
    who: &Arc<Who>,
) -> Result<Session, Failure> {
    let reported = Arc::new(Reported::default());
    let driver: AuthDriver<Arc<Reported>> = AuthDriver::new(Arc::clone(&reported))
        .with_pid_secret_key_generator(Arc::clone(&shared.keys) as _)
        .with_connection_manager(Arc::clone(&shared.cancels));
    let scram = ScramAuth::new(Arc::clone(&shared.users) as Arc<dyn AuthSource>);
    let mechanism = SaslMechanisms::new(vec![Arc::new(scram)]).create();
    let mut outcome = driver.begin_authentication(socket, mechanism).await?;
    let last = loop {
        match outcome {
            AuthOutcome::Authenticated { final_message, .. } => break final_message,
            AuthOutcome::InProgress => {
                let Message::PasswordMessageFamily(message) = next(socket).await? else {
                    return Err(Failure::new(PROTOCOL, "expected a password message").fatal());
                };
                outcome = driver.advance_authentication(socket, message).await.map_err(|error| match error {
                    PgWireError::InvalidPassword(_) => PgWireError::InvalidPassword(who.role.clone()),
                    other => other,
                })?;
            }
        }
    };
    let opened = async {
        // Nobody proves the password of a role that there is not.
        let role = shared.users.role(&who.role).ok_or_else(|| Failure::new(WRONG_PASSWORD, "there is no such role"))?;
        Box::pin(session(shared, Some(&role), who, Wishes::read(&startup.parameters)?)).await
    };
    let session = opened.await.map_err(Failure::fatal)?;
    let settings = session.settings();
    let values = REPORTED.iter().filter_map(|name| Some(((*name).to_owned(), settings.get(name)?.to_owned())));
    // Set once, just here.
    let _ = reported.0.set(values.collect());
    driver.complete_authentication(socket, last).await?;
    Ok(session)
}

/// Who asks to be let in.
fn who(startup: &Startup, address: IpAddr, shared: &Shared) -> Arc<Who> {
    let role = startup.parameters.get(METADATA_USER).cloned().unwrap_or_default();
    let database = database(&startup.parameters).to_owned();
    Arc::new(Who { session: shared.audit.session(), role, address, database })
}

/// Tells the log of a login that failed.
fn refused(startup: &Startup, who: &Arc<Who>, failure: &Failure, shared: &Shared) {
    let application_name = startup.parameters.get("application_name").cloned().unwrap_or_default();
    let line = Line { application_name, ..Line::of(Event::LoginFailed, who) };
    shared.audit.put(line.ended_by(failure));
}

/// Refuses a connection too many, after hearing whether it only wants to cancel.
pub(crate) async fn surplus(socket: &mut Socket, shared: &Arc<Shared>) -> Result<Option<Session>, Failure> {
    let failure = Failure::new("53300", "sorry, too many clients already").fatal();
    match next(socket).await? {
        Message::CancelRequest(request) => {
            shared.cancels.cancel(request.pid, &request.secret_key).await;
            return Ok(None);
        }
        Message::Startup(startup) => {
            let who = who(&startup, socket.socket_addr().ip(), shared);
            refused(&startup, &who, &failure, shared);
        }
        _ => {}
    }
    Err(failure)
}

async fn next(socket: &mut Socket) -> Result<Message, Failure> {
    match socket.next().await {
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(error.into()),
        None => Err(Failure::new("08006", "the client left before it had logged in").fatal()),
    }
}

/// What a client asks of its session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) request: SessionRequest,
    pub(super) settings: Vec<(String, String)>,
}

impl Wishes {
    fn read(parameters: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let mut wishes = Self::default();
        let as_of = databases::moment(database(parameters))?;
        wishes.request.as_of = as_of.map(str::to_owned);
        let options = parameters.get("options").map(|text| startup_options(text)).transpose()?.unwrap_or_default();
        let direct = parameters.iter().filter(|(name, _)| {
            !matches!(name.as_str(), "user" | "database" | "options" | "replication") && !name.starts_with("_pq_.")
        });
        for (name, value) in direct.map(|(name, value)| (name.clone(), value.clone())).chain(options) {
            match name.to_ascii_lowercase().as_str() {
                "tieout.as_of" => match as_of {
                    // Reading one moment under the name of another would be a lie in every report.
                    Some(named) if !named.eq_ignore_ascii_case(value.trim()) => {
                        let text = format!("the database's name says as of \"{named}\", tieout.as_of says \"{value}\"");
                        return Err(Failure::new(INVALID_VALUE, text).hint("give only one of them"));
                    }
                    _ => wishes.request.as_of = Some(value),
                },
                "tieout.accounting_date" => wishes.request.accounting_date = Some(value),
                "tieout.definitions" => wishes.request.definitions = Some(value),
                _ => {
                    if name.eq_ignore_ascii_case("timezone") {
                        wishes.request.time_zone = Some(value.clone());
                    }
                    wishes.settings.push((name, value));
                }
            }
        }
        Ok(wishes)
    }
}

/// The database that a client asks for.
fn database(parameters: &BTreeMap<String, String>) -> &str {
    databases::unquoted(parameters.get(METADATA_DATABASE).map_or(DATABASE, String::as_str))
}

/// The session of a role that has proved who it is, with its rights and limits; without a role that of the server itself.
pub(super) async fn session(
    shared: &Arc<Shared>,
    role: Option<&Role>,
    who: &Arc<Who>,
    wishes: Wishes,
) -> Result<Session, Failure> {
    let user = who.role.as_str();
    let connection = role.map(|role| role.connect(user)).transpose()?.flatten();
    let access = role.and_then(|role| role.access.as_ref().map(Arc::clone));
    let limits = role.map(|role| role.limits).unwrap_or_default();
    let factory = Arc::clone(&shared.factory);
    let request = SessionRequest { access: access.as_ref().map(Arc::clone), ..wishes.request.clone() };
    let database = who.database.clone();
    let connected = database.clone();
    let made: SessionContext = shared
        .threads
        .run(async move { factory(request).await.map_err(|error| databases::refusal(&error, &connected)) })
        .await?;
    let share = role.and_then(|role| role.memory.as_ref());
    let made = share.map_or_else(|| made.clone(), |share| share.limit(&made));
    let schema = made.state().config_options().catalog.default_schema.clone();
    let settings = Settings::new(user, &schema, shared.statement_timeout)?.bounded(limits.statement_timeout)?;
    let settings = Arc::new(Mutex::new(settings));
    let recent = Arc::clone(&shared.audit.recent);
    let (context, asked) = catalog::attach(
        &made,
        user,
        &database,
        Arc::clone(&settings),
        (shared.descriptions.clone(), shared.table_keys.clone()),
        &|inner| with_statements(inner, &recent, user, access.clone()),
    );
    let options = context.state().config_options().entries().into_iter();
    let options = options.filter(|entry| entry.key.starts_with("tieout."));
    let options = options.map(|entry| (entry.key, entry.value.unwrap_or_default())).collect();
    let mut session = Session {
        context,
        catalog: asked,
        settings,
        encoding: ClientEncoding::default(),
        threads: Arc::clone(&shared.threads),
        prepared: HashMap::new(),
        familiar: Familiar::default(),
        portals: HashMap::new(),
        plans: Arc::new(Plans::beside(&shared.answers)),
        status: TransactionStatus::Idle,
        changes: Vec::new(),
        savepoints: Vec::new(),
        options,
        texts: HashMap::new(),
        teller: Teller { log: Arc::clone(&shared.audit), who: Arc::clone(who) },
        rows_max: limits.rows,
        _connection: connection,
    };
    session.follow("timezone")?;
    for (name, value) in wishes.settings {
        if name.starts_with("tieout.") {
            session.set(&name, Some(&value), false)?;
            session.options.insert(name.to_ascii_lowercase(), value);
        } else {
            session.settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).set_default(&name, &value)?;
            session.follow(&name.to_ascii_lowercase())?;
        }
    }
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(parameters: &[(&str, &str)]) -> Result<Wishes, Failure> {
        Wishes::read(&parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_database_name_tells_the_moment() {
        let as_of = |database: &str| wishes(&[("database", database)]).unwrap().request.as_of;
        assert_eq!(as_of("tieout"), None);
        assert_eq!(as_of("tieout@2025-12-31").as_deref(), Some("2025-12-31"));
        assert_eq!(as_of("tieout@commit:42").as_deref(), Some("commit:42"));
        assert_eq!(as_of("\"tieout@FY2025\"").as_deref(), Some("FY2025"));
        let both = |option| wishes(&[("database", "tieout@FY2025"), ("options", option)]);
        assert_eq!(both("-c tieout.as_of=FY2025").unwrap().request.as_of.as_deref(), Some("FY2025"));
        assert_eq!(both("-c tieout.as_of=latest").unwrap_err().code, "22023");
        assert_eq!(wishes(&[("database", "postgres")]).unwrap_err().code, "3D000");
    }

    #[test]
    fn options_become_the_request_and_the_settings() {
        let read = wishes(&[
            ("user", "ada"),
            ("options", "-c tieout.accounting_date=2025-12-31 -c statement_timeout=77"),
            ("TimeZone", "America/Chicago"),
        ])
        .unwrap();
        assert_eq!(read.request.accounting_date.as_deref(), Some("2025-12-31"));
        assert_eq!(read.request.time_zone.as_deref(), Some("America/Chicago"));
        assert!(read.settings.contains(&("statement_timeout".to_owned(), "77".to_owned())));
    }
}
