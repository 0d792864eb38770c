//! HTTP basic authentication with bcrypt hashes.
//!
//! bcrypt is slow on purpose, which must not become a way to slow down the server:
//! 1. An accepted password is remembered as a keyed hash until the settings change, in the slot of its user, so guesses
//!    cannot evict it.
//! 2. A guess takes equally long for any user, existing or not, so time does not reveal user names.
//! 3. Checks run on low-priority threads, one or two at a time, behind a short queue, which serves the address with the
//!    fewest guesses first. Each address has a rate limit.
//! 4. A check does not belong to a request: the same login at the same time waits for the same check, and a client that
//!    hangs up wastes nothing.

use super::login_queue::{LoginQueue, QueueFull};
use super::login_rate_limiter::LoginRateLimiter;
use crate::base::rate_limit::Rate;
use crate::base::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderValue;
use parking_lot::Mutex;
use sha2::Sha256;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

/// Logins that wait for a check, besides those being checked.
const QUEUE_CAPACITY: usize = 32;

/// `Retry-After` of a login that finds the queue full.
const QUEUE_FULL_WAIT: Duration = Duration::from_secs(1);

/// Wrong passwords that are remembered, so that a scraper with a wrong one costs a single check.
const MAX_REJECTED: usize = 256;

/// Guesses of one address: enough for typing errors, and for many scrapers behind one address after a restart.
const GUESS_RATE: Rate = Rate { burst: 20.0, per_second: 1.0 / 3.0 };

/// The niceness of checking threads: a tenth of the processor share of a thread that answers requests.
const NICENESS: i32 = 10;

/// The highest bcrypt cost. Each step doubles the time of every guess, behind which other logins wait; 14 takes a second.
const MAX_COST: u32 = 14;

/// A valid bcrypt hash.
#[derive(Clone, Debug)]
pub struct PasswordHash {
    text: Secret,
    cost: u32,
}

impl std::str::FromStr for PasswordHash {
    type Err = String;

    /// The error never has the text, which may be a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = "not a bcrypt hash; make one with `htpasswd -nBC 10 NAME`";
        let cost = text.parse::<HashParts>().map_err(|_| invalid.to_owned())?.get_cost();
        match cost {
            0..4 => Err(format!("its cost is {cost}, which is none; 10 is usual")),
            4..=MAX_COST => Ok(Self { text: Secret::new(text.to_owned()), cost }),
            _ => Err(format!("its cost is {cost}; over {MAX_COST} a login takes seconds, and 10 is usual")),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    hashes: HashMap<String, PasswordHash>,
    /// The highest cost, which every guess takes.
    max_cost: u32,
}

impl Users {
    pub(super) fn new(hashes: HashMap<String, PasswordHash>) -> Self {
        let max_cost = hashes.values().map(|hash| hash.cost).max().unwrap_or_default();
        Self { hashes, max_cost }
    }

    /// Whether no login is required.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginVerdict {
    /// The request may pass.
    Accepted,
    /// 401.
    Refused,
    /// 429: the address has used up its guesses.
    TooManyGuesses(Duration),
    /// 503: the queue is full.
    QueueFull(Duration),
}

/// The keyed hash of a login.
type Tag = [u8; 32];
type Check = Shared<BoxFuture<'static, LoginVerdict>>;

/// Checks logins. What it has learned survives a change of the settings.
pub(super) struct BasicAuth {
    inner: Arc<Inner>,
}

struct Inner {
    key: Zeroizing<[u8; 32]>,
    workers: Semaphore,
    state: Mutex<State>,
}

struct State {
    /// The accepted login of each user.
    accepted: HashMap<String, Tag>,
    /// The latest wrong logins.
    rejected: VecDeque<Tag>,
    /// Queued or running checks.
    pending: HashMap<Tag, Check>,
    queue: LoginQueue<QueuedCheck>,
    guesses: LoginRateLimiter,
}

struct QueuedCheck {
    login: Login,
    hash: Option<PasswordHash>,
    max_cost: u32,
    tag: Tag,
    peer: IpAddr,
    verdict: oneshot::Sender<LoginVerdict>,
}

impl BasicAuth {
    pub(super) fn new() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(key.as_mut_slice()).expect("the system has random numbers, or TLS would not work either");
        // Half of the processors stay free for accepted requests.
        let workers = std::thread::available_parallelism().map_or(1, |threads| (threads.get() / 2).clamp(1, 2));
        let state = State {
            accepted: HashMap::new(),
            rejected: VecDeque::new(),
            pending: HashMap::new(),
            queue: LoginQueue::new(QUEUE_CAPACITY),
            guesses: LoginRateLimiter::default(),
        };
        Self { inner: Arc::new(Inner { key, workers: Semaphore::new(workers), state: Mutex::new(state) }) }
    }

    /// Checks the login of a request. `authorization`: its only header of that name.
    pub(super) async fn check(&self, users: &Users, authorization: Option<&HeaderValue>, peer: IpAddr) -> LoginVerdict {
        let Some(login) = authorization.and_then(|header| Login::parse(header.as_bytes())) else {
            return LoginVerdict::Refused;
        };
        match self.begin(users, login, peer) {
            Ok(check) => check.await,
            Err(verdict) => verdict,
        }
    }

    /// The check to wait for, or as an error the verdict that is known at once.
    fn begin(&self, users: &Users, login: Login, peer: IpAddr) -> Result<Check, LoginVerdict> {
        let hash = users.hashes.get(&login.user).cloned();
        let mac = self.inner.mac(&login, hash.as_ref());
        let tag: Tag = mac.clone().finalize().into_bytes().into();
        let mut state = self.inner.state.lock();
        if hash.is_some() && state.accepted.get(&login.user).is_some_and(|known| mac.verify_slice(known).is_ok()) {
            return Err(LoginVerdict::Accepted);
        }
        if state.rejected.contains(&tag) {
            return Err(LoginVerdict::Refused);
        }
        if let Some(check) = state.pending.get(&tag) {
            return Ok(check.clone());
        }
        let (verdict, receiver) = oneshot::channel();
        state.enqueue(QueuedCheck { login, hash, max_cost: users.max_cost, tag, peer, verdict })?;
        // A check that is evicted from the queue drops its sender.
        let check = receiver.map(|verdict| verdict.unwrap_or(LoginVerdict::QueueFull(QUEUE_FULL_WAIT)));
        let check = check.boxed().shared();
        state.pending.insert(tag, check.clone());
        // One task for each entry, but a task runs whichever entry is next when a worker is free.
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let _worker = inner.workers.acquire().await.expect("the semaphore is never closed");
            let next = inner.state.lock().queue.pop();
            if let Some(next) = next {
                inner.run(next).await;
            }
        });
        Ok(check)
    }
}

impl Inner {
    /// HMAC over name, hash and password, each preceded by its length, so that no two logins share an input
    /// (CVE-2022-46146 was a concatenation without lengths).
    fn mac(&self, login: &Login, hash: Option<&PasswordHash>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes keys of any length");
        let hash = hash.map_or("", |hash| hash.text.expose());
        for part in [login.user.as_bytes(), hash.as_bytes(), &login.password] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    async fn run(&self, QueuedCheck { login, hash, max_cost, tag, peer, verdict }: QueuedCheck) {
        let Login { user, password } = login;
        let (sender, receiver) = oneshot::channel();
        // A thread of its own: only root can raise the priority of a pooled thread again afterwards.
        let work = move || {
            let _ = rustix::process::setpriority_process(None, NICENESS);
            let _ = sender.send(verify(&password, hash.as_ref(), max_cost));
        };
        let started = std::thread::Builder::new().name("login".to_owned()).spawn(work);
        // A panic in the thread, or no thread at all, counts as a wrong password.
        let is_right = started.is_ok() && receiver.await.unwrap_or(false);
        self.state.lock().learn(user, tag, is_right, peer);
        // The clients may have hung up.
        let _ = verdict.send(if is_right { LoginVerdict::Accepted } else { LoginVerdict::Refused });
    }
}

impl State {
    fn enqueue(&mut self, check: QueuedCheck) -> Result<(), LoginVerdict> {
        let peer = check.peer;
        let guesses = self.guesses.take(GUESS_RATE, peer).map_err(LoginVerdict::TooManyGuesses)?;
        let evicted = self.queue.push(guesses, check).map_err(|QueueFull| {
            self.guesses.give_back(GUESS_RATE, peer);
            LoginVerdict::QueueFull(QUEUE_FULL_WAIT)
        })?;
        if let Some(evicted) = evicted {
            self.pending.remove(&evicted.tag);
            self.guesses.give_back(GUESS_RATE, evicted.peer);
        }
        Ok(())
    }

    fn learn(&mut self, user: String, tag: Tag, is_right: bool, peer: IpAddr) {
        self.pending.remove(&tag);
        if is_right {
            self.accepted.insert(user, tag);
            self.guesses.give_back(GUESS_RATE, peer);
            return;
        }
        if self.rejected.len() == MAX_REJECTED {
            self.rejected.pop_front();
        }
        self.rejected.push_back(tag);
    }
}

/// Whether the password matches the hash. A mismatch takes as long as 2^`max_cost` rounds, with any hash or none: after
/// the 2^n rounds of a hash of cost n, the rounds of the costs n, n + 1, ... `max_cost` - 1 add up to the rest.
fn verify(password: &[u8], hash: Option<&PasswordHash>, max_cost: u32) -> bool {
    let done = match hash {
        Some(hash) => {
            if bcrypt::verify(password, hash.text.expose()).unwrap_or(false) {
                return true;
            }
            hash.cost
        }
        None => {
            burn(password, max_cost);
            max_cost
        }
    };
    (done..max_cost).for_each(|cost| burn(password, cost));
    false
}

/// Takes the time of a check of this cost.
fn burn(password: &[u8], cost: u32) {
    let salt = *b"any other user's";
    drop(std::hint::black_box(bcrypt::hash_with_salt(password, cost.max(4), salt)));
}

/// User name and password of a request.
struct Login {
    user: String,
    password: Zeroizing<Vec<u8>>,
}

impl Login {
    /// Parses an `Authorization` header by RFC 7617.
    fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, rest) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        // The settings have no name that is not UTF-8, but it must take as long as any other.
        let user = String::from_utf8_lossy(&decoded[..colon]).into_owned();
        Some(Self { user, password: Zeroizing::new(decoded[colon + 1..].to_vec()) })
    }
}

#[cfg(test)]
#[path = "basic_auth_tests.rs"]
mod tests;
