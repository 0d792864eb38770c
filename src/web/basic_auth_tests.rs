use super::*;
use std::net::Ipv4Addr;
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn hash(password: &str, cost: u32) -> PasswordHash {
    bcrypt::hash(password, cost).unwrap().parse().unwrap()
}

fn users(list: &[(&str, &str, u32)]) -> Users {
    Users::new(list.iter().map(|(name, password, cost)| ((*name).to_owned(), hash(password, *cost))).collect())
}

fn header(user: &str, password: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).unwrap()
}

async fn check(auth: &BasicAuth, users: &Users, user: &str, password: &str) -> LoginVerdict {
    auth.check(users, Some(&header(user, password)), PEER).await
}

#[test]
fn invalid_hashes_are_refused_and_no_hash_is_shown() {
    let cases = [
        ("hunter2", "not a bcrypt hash; make one with `htpasswd -nBC 10 NAME`"),
        ("$2y$10$tooshort", "not a bcrypt hash; make one with `htpasswd -nBC 10 NAME`"),
        ("$1$abc$def", "not a bcrypt hash; make one with `htpasswd -nBC 10 NAME`"),
        (
            "$2y$15$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq",
            "its cost is 15; over 14 a login takes seconds, and 10 is usual",
        ),
        ("$2y$03$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq", "its cost is 3, which is none; 10 is usual"),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<PasswordHash>().unwrap_err(), expected);
    }
    let good: PasswordHash = hash("hunter2", 4);
    assert_eq!(format!("{good:?}"), "PasswordHash { text: <secret>, cost: 4 }");
}

#[test]
fn only_well_formed_logins_are_parsed() {
    let parse = |text: &str| Login::parse(text.as_bytes()).map(|login| (login.user, login.password.to_vec()));
    let expected = |user: &str, password: &str| Some((user.to_owned(), password.as_bytes().to_vec()));
    assert_eq!(parse("Basic YTpi"), expected("a", "b"));
    assert_eq!(parse("bASIC  YTpiOmM= "), expected("a", "b:c"));
    assert_eq!(parse("Basic Og=="), expected("", ""));
    for text in ["", "Basic", "Basic ", "Basic YWI=", "Basic a:b", "Bearer YTpi", "BasicYTpi", "Basic YTpi YTpi"] {
        assert_eq!(parse(text), None, "{text:?}");
    }
}

#[tokio::test]
async fn known_logins_are_free_and_guesses_are_limited() {
    let (auth, users) = (BasicAuth::new(), users(&[("prometheus", "right", 4)]));
    assert_eq!(check(&auth, &users, "prometheus", "right").await, LoginVerdict::Accepted);
    assert_eq!(check(&auth, &users, "prometheus", "wrong").await, LoginVerdict::Refused);
    let (mut refused, mut sent_away) = (0, 0);
    for number in 0..1000 {
        match check(&auth, &users, "prometheus", &format!("guess {number}")).await {
            LoginVerdict::Refused => refused += 1,
            LoginVerdict::TooManyGuesses(wait) if wait <= Duration::from_secs(3) => sent_away += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(check(&auth, &users, "prometheus", "right").await, LoginVerdict::Accepted, "after {number} guesses");
        assert_eq!(check(&auth, &users, "prometheus", "wrong").await, LoginVerdict::Refused, "it is no new guess");
    }
    assert!((19..=21).contains(&refused) && refused + sent_away == 1000, "{refused} and {sent_away}");
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(
        auth.check(&users, Some(&header("prometheus", "?")), other).await,
        LoginVerdict::Refused,
        "its first guess"
    );
}

#[tokio::test]
async fn a_changed_password_is_no_longer_accepted() {
    let auth = BasicAuth::new();
    let (before, after) = (users(&[("prometheus", "old", 4)]), users(&[("prometheus", "new", 4)]));
    assert_eq!(check(&auth, &before, "prometheus", "old").await, LoginVerdict::Accepted);
    assert_eq!(check(&auth, &after, "prometheus", "old").await, LoginVerdict::Refused);
    assert_eq!(check(&auth, &after, "prometheus", "new").await, LoginVerdict::Accepted);
    assert_eq!(check(&auth, &Users::default(), "prometheus", "new").await, LoginVerdict::Refused, "a user who is gone");
}

/// Starts a login; the handle gives its verdict.
async fn waiting(auth: &Arc<BasicAuth>, users: &Arc<Users>, password: &str, from: usize) -> JoinHandle<LoginVerdict> {
    let (auth, users, login) = (Arc::clone(auth), Arc::clone(users), header("prometheus", password));
    let peer = Ipv4Addr::from_bits(u32::try_from(from).unwrap()).into();
    let checking = tokio::spawn(async move { auth.check(&users, Some(&login), peer).await });
    // On the single thread of the runtime, it is queued after this.
    tokio::task::yield_now().await;
    checking
}

async fn all_workers(auth: &BasicAuth) -> SemaphorePermit<'_> {
    let workers = &auth.inner.workers;
    workers.acquire_many(u32::try_from(workers.available_permits()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_login_that_finds_the_queue_full_is_told_to_come_again() {
    let (auth, users) = (Arc::new(BasicAuth::new()), Arc::new(users(&[("prometheus", "right", 4)])));
    let workers = all_workers(&auth).await;
    let mut guesses = Vec::new();
    for from in 0..QUEUE_CAPACITY {
        guesses.push(waiting(&auth, &users, &format!("guess {from}"), from).await);
    }
    assert_eq!(check(&auth, &users, "prometheus", "right").await, LoginVerdict::QueueFull(QUEUE_FULL_WAIT));
    drop(workers);
    for guess in guesses {
        assert_eq!(guess.await.unwrap(), LoginVerdict::Refused);
    }
    assert_eq!(check(&auth, &users, "prometheus", "right").await, LoginVerdict::Accepted);
}

#[tokio::test]
async fn addresses_that_fill_the_queue_make_room_for_another() {
    let (auth, users) = (Arc::new(BasicAuth::new()), Arc::new(users(&[("prometheus", "right", 4)])));
    let workers = all_workers(&auth).await;
    let mut guesses = Vec::new();
    for number in 0..40 {
        guesses.push(waiting(&auth, &users, &format!("guess {number}"), number / 20).await);
    }
    let scraper = waiting(&auth, &users, "right", 2).await;
    drop(workers);
    assert_eq!(scraper.await.unwrap(), LoginVerdict::Accepted);
    let mut verdicts = [0; 2];
    for (number, guess) in guesses.into_iter().enumerate() {
        match guess.await.unwrap() {
            LoginVerdict::Refused => verdicts[number / 20] += 1,
            other => assert_eq!(other, LoginVerdict::QueueFull(QUEUE_FULL_WAIT)),
        }
    }
    assert_eq!(verdicts.iter().sum::<usize>(), QUEUE_CAPACITY - 1);
    assert!(verdicts[0].abs_diff(verdicts[1]) <= 1, "they share what is left: {verdicts:?}");
    let mut state = auth.inner.state.lock();
    assert!(state.pending.is_empty());
    // What was not tried is no guess.
    for (address, tried) in verdicts.into_iter().enumerate() {
        let peer = Ipv4Addr::from_bits(u32::try_from(address).unwrap()).into();
        let left = (0..20).take_while(|_| state.guesses.take(GUESS_RATE, peer).is_ok()).count();
        assert_eq!(left, 20 - tried);
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_guess_takes_as_long_whether_its_user_exists_or_not() {
    let (cheap, dear) = (hash("right", 7), hash("right", 9));
    // Time of the processor, which is counted in ticks of some milliseconds, so of several guesses; and the best of several
    // times taken in turns: other work on this machine only ever adds to it.
    let mut best = [Duration::MAX; 3];
    for _ in 0..5 {
        for (best, hash) in best.iter_mut().zip([Some(&cheap), Some(&dear), None]) {
            let start = processor_time();
            for _ in 0..6 {
                assert!(!verify(b"wrong", hash, 9));
            }
            *best = (processor_time() - start).min(*best);
        }
    }
    println!("cost 7, cost 9, no user: {best:?}");
    let (least, most) = (best.iter().min().unwrap(), best.iter().max().unwrap());
    assert!(*most <= least.mul_f64(1.1), "{best:?}");
}
