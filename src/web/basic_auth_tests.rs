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

async fn judge(door: &BasicAuth, users: &Users, user: &str, password: &str) -> Verdict {
    door.judge(users, Some(&header(user, password)), PEER).await
}

#[test]
fn a_hash_is_checked_before_it_is_used_and_never_shown() {
    let cases = [
        ("hunter2", "this is no bcrypt hash; make one with `htpasswd -nBC 10 NAME`"),
        ("$2y$10$tooshort", "this is no bcrypt hash; make one with `htpasswd -nBC 10 NAME`"),
        ("$1$abc$def", "this is no bcrypt hash; make one with `htpasswd -nBC 10 NAME`"),
        (
            "$2y$19$2UXri9cIDdgeKjBo4Rlpx.U3ZLDV8X1IxKmsfOvhcM5oXQt/mLmXq",
            "its cost is 19; over 18 a login takes minutes, and 10 is usual",
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
fn a_login_is_of_one_form() {
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
async fn what_is_known_costs_nothing_and_guesses_are_numbered() {
    let (door, users) = (BasicAuth::new(), users(&[("prometheus", "right", 4)]));
    assert_eq!(judge(&door, &users, "prometheus", "right").await, Verdict::Allowed);
    assert_eq!(judge(&door, &users, "prometheus", "wrong").await, Verdict::Refused);
    let (mut refused, mut sent_away) = (0, 0);
    for number in 0..1000 {
        match judge(&door, &users, "prometheus", &format!("guess {number}")).await {
            Verdict::Refused => refused += 1,
            Verdict::TooMany(wait) if wait <= Duration::from_secs(3) => sent_away += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(judge(&door, &users, "prometheus", "right").await, Verdict::Allowed, "after {number} guesses");
        assert_eq!(judge(&door, &users, "prometheus", "wrong").await, Verdict::Refused, "it is no new guess");
    }
    assert!((19..=21).contains(&refused) && refused + sent_away == 1000, "{refused} and {sent_away}");
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(door.judge(&users, Some(&header("prometheus", "?")), other).await, Verdict::Refused, "its first guess");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_at_once_each_get_their_own_verdict() {
    let (door, users) = (Arc::new(BasicAuth::new()), Arc::new(users(&[("ten", "right", 10), ("twelve", "right", 12)])));
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..300 {
        let (door, users) = (Arc::clone(&door), Arc::clone(&users));
        logins.spawn(async move {
            let user = ["ten", "twelve"][number % 2];
            let (password, expected) =
                [("right", Verdict::Allowed), ("wrong", Verdict::Refused)][usize::from(number % 4 > 1)];
            assert_eq!(judge(&door, &users, user, password).await, expected, "{user} {password}");
        });
    }
    while let Some(ended) = logins.join_next().await {
        ended.unwrap();
    }
    assert_eq!(door.inner.known().working.len(), 0);
}

#[tokio::test]
async fn a_password_that_was_changed_is_not_known_any_more() {
    let door = BasicAuth::new();
    let (before, after) = (users(&[("prometheus", "old", 4)]), users(&[("prometheus", "new", 4)]));
    assert_eq!(judge(&door, &before, "prometheus", "old").await, Verdict::Allowed);
    assert_eq!(judge(&door, &after, "prometheus", "old").await, Verdict::Refused);
    assert_eq!(judge(&door, &after, "prometheus", "new").await, Verdict::Allowed);
    assert_eq!(judge(&door, &Users::default(), "prometheus", "new").await, Verdict::Refused, "a user who is gone");
}

/// A login that waits: its verdict when it comes.
async fn waiting(door: &Arc<BasicAuth>, users: &Arc<Users>, password: &str, from: usize) -> JoinHandle<Verdict> {
    let (door, users, login) = (Arc::clone(door), Arc::clone(users), header("prometheus", password));
    let peer = Ipv4Addr::from_bits(u32::try_from(from).unwrap()).into();
    let judging = tokio::spawn(async move { door.judge(&users, Some(&login), peer).await });
    // It has come to wait, on the one thread there is.
    tokio::task::yield_now().await;
    judging
}

async fn all_workers(door: &BasicAuth) -> SemaphorePermit<'_> {
    let workers = &door.inner.workers;
    workers.acquire_many(u32::try_from(workers.available_permits()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn whoever_finds_the_queue_full_of_others_is_told_to_come_again() {
    let (door, users) = (Arc::new(BasicAuth::new()), Arc::new(users(&[("prometheus", "right", 4)])));
    let workers = all_workers(&door).await;
    let mut guesses = Vec::new();
    for from in 0..QUEUE {
        guesses.push(waiting(&door, &users, &format!("guess {from}"), from).await);
    }
    assert_eq!(judge(&door, &users, "prometheus", "right").await, Verdict::Busy(BUSY));
    drop(workers);
    for guess in guesses {
        assert_eq!(guess.await.unwrap(), Verdict::Refused);
    }
    assert_eq!(judge(&door, &users, "prometheus", "right").await, Verdict::Allowed);
}

#[tokio::test]
async fn an_address_that_fills_the_queue_makes_room_for_another() {
    let (door, users) = (Arc::new(BasicAuth::new()), Arc::new(users(&[("prometheus", "right", 4)])));
    let workers = all_workers(&door).await;
    let mut guesses = Vec::new();
    for number in 0..40 {
        guesses.push(waiting(&door, &users, &format!("guess {number}"), number / 20).await);
    }
    let scraper = waiting(&door, &users, "right", 2).await;
    drop(workers);
    assert_eq!(scraper.await.unwrap(), Verdict::Allowed);
    let mut verdicts = [0; 2];
    for (number, guess) in guesses.into_iter().enumerate() {
        match guess.await.unwrap() {
            Verdict::Refused => verdicts[number / 20] += 1,
            other => assert_eq!(other, Verdict::Busy(BUSY)),
        }
    }
    assert_eq!(verdicts.iter().sum::<usize>(), QUEUE - 1);
    assert!(verdicts[0].abs_diff(verdicts[1]) <= 1, "they share what is left: {verdicts:?}");
    let mut known = door.inner.known();
    assert!(known.working.is_empty());
    // What was not tried is no guess.
    for (address, tried) in verdicts.into_iter().enumerate() {
        let peer = Ipv4Addr::from_bits(u32::try_from(address).unwrap()).into();
        let left = (0..20).take_while(|_| known.guesses.take(PER_ADDRESS, peer).is_ok()).count();
        assert_eq!(left, 20 - tried);
    }
}

#[tokio::test]
async fn no_choice_of_parts_is_taken_for_another_login() {
    let (door, users) = (BasicAuth::new(), users(&[("alice", "right", 4), ("bob", "other", 4)]));
    assert_eq!(judge(&door, &users, "alice", "right").await, Verdict::Allowed);
    assert_eq!(judge(&door, &users, "bob", "other").await, Verdict::Allowed);
    let alice = users.hashes["alice"].text.expose().to_owned();
    let vectors = [
        ("alice".to_owned(), String::new()),
        ("alice".to_owned(), alice.clone()),
        ("alice".to_owned(), format!("{alice}right")),
        (format!("alice{alice}"), "right".to_owned()),
        ("ali".to_owned(), format!("ce{alice}right")),
        (format!("alice{alice}right"), String::new()),
        ("alice".to_owned(), "right\0".repeat(2)),
        ("alice\0".to_owned(), "right".to_owned()),
        ("alice".to_owned(), "other".to_owned()),
        ("Alice".to_owned(), "right".to_owned()),
        ("616c696365".to_owned(), "7269676874".to_owned()),
    ];
    for (number, (user, password)) in vectors.into_iter().enumerate() {
        let peer = IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        let verdict = door.judge(&users, Some(&header(&user, &password)), peer).await;
        assert_eq!(verdict, Verdict::Refused, "{user:?} {password:?}");
    }
}

/// What this thread has used of the processor.
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
                assert!(!is_right(b"wrong", hash, 9));
            }
            *best = (processor_time() - start).min(*best);
        }
    }
    println!("cost 7, cost 9, no user: {best:?}");
    let (least, most) = (best.iter().min().unwrap(), best.iter().max().unwrap());
    assert!(*most <= least.mul_f64(1.1), "{best:?}");
}
