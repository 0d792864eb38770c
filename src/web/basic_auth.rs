//! Names and passwords: what a request shows, and whether it is right.
//!
//! bcrypt is slow on purpose, so it must not become the way to slow the server down. Once a password was found right, it
//! is known by a keyed hash until the settings change, and nothing that others try can drive that out. A guess costs the
//! same time whether its user exists or not, runs on a thread of its own, few at a time, and each address has only so
//! many and its share of the queue. The work belongs to nobody's request: whoever asks the same at the same time waits
//! for the same answer, and a client that hangs up wastes nothing.

use super::fair_queue::{FairQueue, Full};
use super::login_rate_limiter::LoginRateLimiter;
use crate::base::rate_limit::Rate;
use crate::base::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderValue;
use parking_lot::{Mutex, MutexGuard};
use sha2::Sha256;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinError};
use zeroize::Zeroizing;

/// LoginRateLimiter that wait for their turn, besides those that are being tried. More are sent away, those of the address with
/// the most.
const QUEUE: usize = 32;

/// How long somebody is sent away for who finds the queue full.
const BUSY: Duration = Duration::from_secs(1);

/// Wrong passwords that are remembered, so that a scraper with a wrong one costs nothing after the first time.
const REMEMBERED: usize = 256;

/// New guesses of one address: enough to mistype, and for a fleet behind one address to log in after a restart.
const PER_ADDRESS: Rate = Rate { burst: 20.0, per_second: 1.0 / 3.0 };

/// The niceness of threads that try guesses: a tenth of the share of those that answer requests, when both want to work.
const GIVING_WAY: i32 = 10;

/// bcrypt takes twice as long with each; 18 are some 20 seconds.
const MOST_COST: u32 = 18;

/// What bcrypt made of a password, checked to be that.
#[derive(Clone, Debug)]
pub struct PasswordHash {
    text: Secret,
    cost: u32,
}

impl std::str::FromStr for PasswordHash {
    type Err = String;

    /// # Errors
    /// Why it is none; never with the text, which may be a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "this is no bcrypt hash; make one with `htpasswd -nBC 10 NAME`";
        let cost = text.parse::<HashParts>().map_err(|_| wrong.to_owned())?.get_cost();
        match cost {
            0..4 => Err(format!("its cost is {cost}, which is none; 10 is usual")),
            4..=MOST_COST => Ok(Self { text: Secret::new(text.to_owned()), cost }),
            _ => Err(format!("its cost is {cost}; over {MOST_COST} a login takes minutes, and 10 is usual")),
        }
    }
}

/// Who may log in.
#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    hashes: HashMap<String, PasswordHash>,
    /// The highest cost: that of every guess.
    cost: u32,
}

impl Users {
    /// These, by name.
    pub(super) fn new(hashes: HashMap<String, PasswordHash>) -> Self {
        let cost = hashes.values().map(|hash| hash.cost).max().unwrap_or_default();
        Self { hashes, cost }
    }

    /// Whether nobody has to log in.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer it.
    Allowed,
    /// 401.
    Refused,
    /// 429: its address has guessed too often.
    TooMany(Duration),
    /// 503: too many are guessing, or too many from its address while others come.
    Busy(Duration),
}

impl Verdict {
    /// That on a guess whose task did not end: it had to make room, or else it panicked, which lets nobody in.
    fn of_unfinished(error: &JoinError) -> Self {
        if error.is_cancelled() { Self::Busy(BUSY) } else { Self::Refused }
    }
}

type Tag = [u8; 32];
type Work = Shared<BoxFuture<'static, Verdict>>;

/// Judges logins. Keeps what it knows while settings change.
pub(super) struct BasicAuth {
    inner: Arc<Inner>,
}

struct Inner {
    key: Zeroizing<[u8; 32]>,
    workers: Semaphore,
    known: Mutex<Known>,
}

struct Known {
    /// One for each user, by name: others cannot drive it out.
    right: HashMap<String, Tag>,
    /// The latest.
    wrong: VecDeque<Tag>,
    working: HashMap<Tag, Work>,
    /// The tasks among them that wait.
    queue: FairQueue<(Tag, AbortHandle)>,
    guesses: LoginRateLimiter,
}

impl BasicAuth {
    /// One that knows nothing yet.
    pub(super) fn new() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(key.as_mut_slice()).expect("the system has random numbers, or TLS would not work either");
        // Half of the machine stays for those who are let in.
        let workers = std::thread::available_parallelism().map_or(1, |threads| (threads.get() / 2).clamp(1, 2));
        let known = Known {
            right: HashMap::new(),
            wrong: VecDeque::new(),
            working: HashMap::new(),
            queue: FairQueue::new(QUEUE),
            guesses: LoginRateLimiter::default(),
        };
        let inner = Inner { key, workers: Semaphore::new(workers), known: Mutex::new(known) };
        Self { inner: Arc::new(inner) }
    }

    /// Whether this request may pass. `authorization`: its one header of that name.
    pub(super) async fn judge(&self, users: &Users, authorization: Option<&HeaderValue>, peer: IpAddr) -> Verdict {
        let Some(login) = authorization.and_then(|header| Login::parse(header.as_bytes())) else {
            return Verdict::Refused;
        };
        match self.begin(users, login, peer) {
            Ok(work) => work.await,
            Err(verdict) => verdict,
        }
    }

    /// What is known at once, or the work that will tell.
    fn begin(&self, users: &Users, login: Login, peer: IpAddr) -> Result<Work, Verdict> {
        let hash = users.hashes.get(&login.user).cloned();
        let mac = self.inner.mac(&login, hash.as_ref());
        let tag: Tag = mac.clone().finalize().into_bytes().into();
        let mut known = self.inner.known();
        if hash.is_some() && known.right.get(&login.user).is_some_and(|right| mac.verify_slice(right).is_ok()) {
            return Err(Verdict::Allowed);
        }
        if known.wrong.contains(&tag) {
            return Err(Verdict::Refused);
        }
        if let Some(work) = known.working.get(&tag) {
            return Ok(work.clone());
        }
        known.admit(peer)?;
        let (inner, most) = (Arc::clone(&self.inner), users.cost);
        // Spawned: it goes on when those who wait for it are gone.
        let task = tokio::spawn(async move {
            let _worker = inner.workers.acquire().await.expect("the semaphore is never closed");
            let this = tokio::task::id();
            if !inner.known().queue.leave(|(_, task)| task.id() == this) {
                return Verdict::Busy(BUSY);
            }
            let is_right = inner.verify(&login, hash, most).await;
            inner.known().learn(login.user, tag, is_right, peer);
            if is_right { Verdict::Allowed } else { Verdict::Refused }
        });
        known.queue.enter((tag, task.abort_handle()), peer);
        let work = task.map(|ended| ended.unwrap_or_else(|error| Verdict::of_unfinished(&error))).boxed().shared();
        known.working.insert(tag, work.clone());
        Ok(work)
    }
}

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// Of name, hash and password, each after its length: no two logins have the same, however their parts are chosen
    /// (CVE-2022-46146 was a joint of parts without it).
    fn mac(&self, login: &Login, hash: Option<&PasswordHash>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes keys of any length");
        let hash = hash.map_or("", |hash| hash.text.expose());
        for part in [login.user.as_bytes(), hash.as_bytes(), &login.password] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    async fn verify(&self, login: &Login, hash: Option<PasswordHash>, most: u32) -> bool {
        let password = login.password.clone();
        let (tell, told) = oneshot::channel();
        // A thread of its own, which may be given less of the processor than those that answer; threads that are shared
        // could not be given more again afterwards.
        let work = move || {
            let _ = rustix::process::setpriority_process(None, GIVING_WAY);
            // Nobody may be waiting any more.
            let _ = tell.send(is_right(&password, hash.as_ref(), most));
        };
        let started = std::thread::Builder::new().name("login".to_owned()).spawn(work);
        // Neither a panic there nor a system without threads lets anybody in.
        started.is_ok() && told.await.unwrap_or(false)
    }
}

impl Known {
    /// Takes one of the guesses of an address, and makes room in the queue for it.
    fn admit(&mut self, peer: IpAddr) -> Result<(), Verdict> {
        self.guesses.take(PER_ADDRESS, peer).map_err(Verdict::TooMany)?;
        let gone = self.queue.make_room(peer).map_err(|Full| {
            self.guesses.give_back(PER_ADDRESS, peer);
            Verdict::Busy(BUSY)
        })?;
        if let Some(((tag, task), peer)) = gone {
            task.abort();
            self.working.remove(&tag);
            // It was not tried.
            self.guesses.give_back(PER_ADDRESS, peer);
        }
        Ok(())
    }

    fn learn(&mut self, user: String, tag: Tag, is_right: bool, peer: IpAddr) {
        self.working.remove(&tag);
        if is_right {
            self.right.insert(user, tag);
            self.guesses.give_back(PER_ADDRESS, peer);
            return;
        }
        if self.wrong.len() == REMEMBERED {
            self.wrong.pop_front();
        }
        self.wrong.push_back(tag);
    }
}

/// Whether the password is that of the hash. If not, it takes as long as any wrong guess, whoever the user is and whether
/// there is one: a hash of cost n takes 2^n rounds, and those of n, n + 1 and so on up to below `most` fill that up to
/// 2^most.
fn is_right(password: &[u8], hash: Option<&PasswordHash>, most: u32) -> bool {
    let done = match hash {
        Some(hash) => {
            if bcrypt::verify(password, hash.text.expose()).unwrap_or(false) {
                return true;
            }
            hash.cost
        }
        None => {
            burn(password, most);
            most
        }
    };
    for cost in done..most {
        burn(password, cost);
    }
    false
}

fn burn(password: &[u8], cost: u32) {
    let salt = *b"any other user's";
    drop(std::hint::black_box(bcrypt::hash_with_salt(password, cost.max(4), salt)));
}

/// What a request shows.
struct Login {
    user: String,
    password: Zeroizing<Vec<u8>>,
}

impl Login {
    /// RFC 7617. What is not of this form is no login.
    fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, rest) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        // A name that is no UTF-8 is in no file of settings; it is to cost as much as others all the same.
        let user = String::from_utf8_lossy(&decoded[..colon]).into_owned();
        Some(Self { user, password: Zeroizing::new(decoded[colon + 1..].to_vec()) })
    }
}

#[cfg(test)]
#[path = "basic_auth_tests.rs"]
mod tests;
