//! The context of one request: the simulator's state and settings, and checks that several calls share.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::authenticate::{self, KnownCallers};
use super::credential_options::Operation;
use super::http::Request;
use super::image::mix;
use super::options::Options;
use super::response::ApiError;
use super::state::SimulatorState;
use super::temporary_keys::TemporaryKeys;
use super::tokens::{Scope, Tokens};
use super::world::World;

/// The host that images are pulled from, in `path` and `internal_path`.
pub(super) const REGISTRY: &str = "swr.cn-north-4.myhuaweicloud.com";
/// The account's name, in `domain_name`.
pub(super) const ACCOUNT: &str = "demo-account";

/// What a handler needs besides the request.
pub(super) struct RequestContext<'a> {
    pub(super) state: &'a SimulatorState,
    pub(super) options: Arc<Options>,
    /// 32 hexadecimal digits.
    pub(super) request_id: String,
    /// Number of requests before this one.
    pub(super) ordinal: u64,
    /// The service's clock, in seconds since the Unix epoch.
    pub(super) now: i64,
}

impl RequestContext<'_> {
    pub(super) fn world(&self) -> impl std::ops::DerefMut<Target = World> {
        self.state.world()
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.state.tokens.lock()
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, TemporaryKeys> {
        self.state.keys.lock()
    }

    /// Authenticates the caller for `scope`.
    pub(super) fn identify(&self, request: &Request, scope: Scope) -> Result<(), ApiError> {
        let mut callers = KnownCallers { tokens: &self.tokens(), keys: &mut self.keys(), options: &self.options };
        authenticate::authenticate(request, scope, &mut callers, self.now)
    }

    /// Authenticates a caller of SWR and checks the permission for `operation`.
    pub(super) fn permit(&self, request: &Request, operation: Operation) -> Result<(), ApiError> {
        self.identify(request, Scope::Project)?;
        if self.options.denied.contains(&operation) { Err(ApiError::denied()) } else { Ok(()) }
    }

    /// Checks that the project in a path belongs to the account.
    pub(super) fn require_project(&self, project: &str) -> Result<(), ApiError> {
        let known = self.options.projects.iter().any(|known| known.id == project);
        let error = || ApiError::gateway(403, "0404", "The project in the request is not that of the caller");
        known.then_some(()).ok_or_else(error)
    }

    /// A stable identifier for a name: 32 hexadecimal digits.
    pub(super) fn id_of(&self, name: &str) -> String {
        let hash = name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        format!("{:016x}{:016x}", hash, mix(hash))
    }
}
