//! stub
use super::settings::Settings;
use datafusion::prelude::SessionContext;
use std::sync::{Arc, Mutex};
pub(crate) fn attach(made: &SessionContext, _user: &str, _database: &str, _settings: Arc<Mutex<Settings>>) -> SessionContext {
    made.clone()
}
