use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn rate(per_minute: u32, burst: u32) -> Rate {
    Rate { per_minute: NonZeroU32::new(per_minute).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

fn host(hosts: &Hosts, url: &str) -> Arc<Host> {
    hosts.host(&Url::parse(url).unwrap())
}

/// A member of one host with room for everybody.
fn join(hosts: &Hosts, rate: Rate) -> Membership {
    host(hosts, "https://a.example.com").join(rate, 1000)
}

/// How many calls pass at this moment.
fn passing(member: &Membership, now: Instant) -> usize {
    let mut state = locked(&member.host.state);
    (0..1000).map_while(|_| state.go(&member.slots, now)).count()
}

fn caller(namespace: &str, urgency: Urgency) -> Caller {
    Caller { lane: Lane { namespace: namespace.into() }, urgency, ..Caller::default() }
}

#[test]
fn sessions_of_one_host_and_port_share_the_smallest_limit() {
    let hosts = Hosts::new();
    let _wide = host(&hosts, "https://a.example.com/x").join(rate(600, 50), 1);
    let narrow = host(&hosts, "https://a.example.com:443/y").join(rate(60, 80), 1);
    let _other = host(&hosts, "https://a.example.com:8443").join(rate(5, 5), 1);
    assert_eq!(hosts.limits(), [("a.example.com:443".into(), 60), ("a.example.com:8443".into(), 5)]);
    drop(narrow);
    assert_eq!(hosts.limits()[0].1, 600);
}

#[test]
fn a_host_that_no_session_talks_to_is_not_shown() {
    let hosts = Hosts::new();
    drop(join(&hosts, rate(600, 50)));
    assert!(hosts.limits().is_empty());
}

#[test]
fn a_burst_passes_at_once_and_the_next_call_waits_for_the_sustained_rate() {
    let hosts = Hosts::new();
    let member = join(&hosts, rate(1, 5));
    let now = Instant::now();
    assert_eq!(passing(&member, now), 5);
    let until = locked(&member.host.state).open(now).unwrap_err();
    assert!(until > now + Duration::from_secs(50));
}

#[test]
fn a_session_that_replaces_another_gets_no_second_burst() {
    let hosts = Hosts::new();
    let old = join(&hosts, rate(1, 5));
    assert_eq!(passing(&old, Instant::now()), 5);
    drop(old);
    let same = join(&hosts, rate(1, 5));
    assert_eq!(passing(&same, Instant::now()), 0);
    let changed = join(&hosts, rate(1, 4));
    assert_eq!(passing(&changed, Instant::now()), 1);
}

#[test]
fn a_pause_holds_back_every_session_and_ends_without_a_stampede() {
    let hosts = Hosts::new();
    let (one, other) = (join(&hosts, rate(1, 50)), join(&hosts, rate(1, 50)));
    let now = Instant::now();
    let until = now + Duration::from_secs(30);
    one.host().throttled(now, until);
    one.host().throttled(now, now + Duration::from_secs(5));
    assert_eq!(locked(&other.host.state).open(now), Err(until));
    assert_eq!(passing(&other, now), 0);
    assert_eq!(passing(&other, until) + passing(&one, until), 1);
}

#[test]
fn a_pause_outlives_the_session_that_met_it() {
    let hosts = Hosts::new();
    let old = join(&hosts, rate(60, 5));
    let now = Instant::now();
    old.host().throttled(now, now + Duration::from_secs(30));
    drop(old);
    assert!(join(&hosts, rate(60, 5)).host().paused(now).is_some());
}

#[test]
fn all_429_of_one_burst_lower_the_rate_once_and_the_next_one_lowers_it_again() {
    let hosts = Hosts::new();
    let member = join(&hosts, rate(100, 5));
    let now = Instant::now();
    let until = now + Duration::from_secs(30);
    (0..16).for_each(|_| member.host().throttled(now, until));
    assert_eq!(hosts.limits()[0].1, 50);
    member.host().throttled(until, until);
    assert_eq!(hosts.limits()[0].1, 20);
}

#[tokio::test]
async fn a_gate_that_stays_closed_for_long_is_told_at_once() {
    let hosts = Hosts::new();
    let member = join(&hosts, rate(60, 5));
    let now = Instant::now();
    let until = now + Duration::from_hours(1);
    member.host().throttled(now, until);
    assert_eq!(member.turn(&Caller::default(), PATIENCE).await.err(), Some(NoTurn::Paused(until)));
}

/// Calls that wait for a member's turns, in order of arrival; each says its name when it goes.
struct Waiting {
    went: tokio::sync::mpsc::UnboundedReceiver<(&'static str, Slot)>,
}

impl Waiting {
    async fn of(member: &Arc<Membership>, callers: &[(&'static str, Urgency)]) -> Self {
        let (sender, went) = tokio::sync::mpsc::unbounded_channel();
        for (name, urgency) in callers {
            let (name, caller, member, sender) = (*name, caller(name, *urgency), Arc::clone(member), sender.clone());
            tokio::spawn(async move {
                let slot = member.turn(&caller, PATIENCE).await;
                let _ = slot.map(|slot| sender.send((name, slot)));
            });
            // Arrived before the next one comes: the runtime of a test has one thread.
            tokio::task::yield_now().await;
        }
        Self { went }
    }

    async fn names(&mut self, count: usize) -> Vec<&'static str> {
        let mut names = Vec::new();
        while names.len() < count {
            names.push(self.went.recv().await.unwrap().0);
        }
        names
    }
}

#[tokio::test]
async fn those_who_wait_go_by_urgency_and_in_turn_by_namespace() {
    let hosts = Hosts::new();
    let member = Arc::new(host(&hosts, "https://a.example.com").join(rate(600_000, 1000), 1));
    let busy = member.turn(&Caller::default(), PATIENCE).await.ok();
    let (resync, change) = (Urgency::Resync, Urgency::Change);
    let callers = [("quiet", resync), ("many", change), ("many", change), ("many", change), ("few", change)];
    let mut waiting = Waiting::of(&member, &callers).await;
    drop(busy);
    assert_eq!(waiting.names(5).await, ["many", "few", "many", "many", "quiet"]);
}

#[tokio::test]
async fn a_session_without_a_free_slot_does_not_hold_up_another_of_its_host() {
    let hosts = Hosts::new();
    let hanging = Arc::new(host(&hosts, "https://a.example.com").join(rate(600_000, 1000), 1));
    let other = Arc::new(join(&hosts, rate(600_000, 1000)));
    let _hangs = hanging.turn(&Caller::default(), PATIENCE).await.ok();
    let waiting = Waiting::of(&hanging, &[("a", Urgency::Deletion), ("b", Urgency::Deletion)]).await;
    let mut others = Waiting::of(&other, &[("a", Urgency::Resync), ("a", Urgency::Resync)]).await;
    assert_eq!(others.names(2).await.len(), 2);
    assert!(waiting.went.is_empty());
}

#[tokio::test]
async fn whom_the_limit_holds_back_is_counted_and_whom_its_own_session_holds_back_is_not() {
    let hosts = Hosts::new();
    let hanging = Arc::new(host(&hosts, "https://a.example.com").join(rate(1, 2), 1));
    let other = Arc::new(join(&hosts, rate(1, 2)));
    let _hangs = hanging.turn(&Caller::default(), PATIENCE).await.ok();
    assert_eq!(passing(&other, Instant::now()), 1);
    let _own = Waiting::of(&hanging, &[("a", Urgency::Change)]).await;
    let _limit = Waiting::of(&other, &[("a", Urgency::Change), ("b", Urgency::Resync)]).await;
    assert_eq!(hosts.waiting(), [("a.example.com:443".to_owned(), 2)]);
}

#[tokio::test]
async fn who_is_not_wanted_any_more_leaves_the_queue() {
    let hosts = Hosts::new();
    let member = join(&hosts, rate(1, 1));
    assert_eq!(passing(&member, Instant::now()), 1);
    let unwanted = Caller { wanted: Arc::new(|| false), ..Caller::default() };
    assert_eq!(member.turn(&unwanted, PATIENCE).await.err(), Some(NoTurn::Unwanted));
    assert!(locked(&member.host.state).queue.is_empty());
}

#[tokio::test]
async fn those_who_are_sent_away_go_at_once_and_others_stay() {
    let hosts = Hosts::new();
    let (broken, other) = (join(&hosts, rate(1, 1)), join(&hosts, rate(1, 1)));
    assert_eq!(passing(&other, Instant::now()), 1);
    let anybody = Caller::default();
    let mut gone = std::pin::pin!(broken.turn(&anybody, PATIENCE));
    let mut stays = std::pin::pin!(other.turn(&anybody, PATIENCE));
    assert!(futures::poll!(gone.as_mut()).is_pending());
    assert!(futures::poll!(stays.as_mut()).is_pending());
    broken.send_away();
    assert_eq!(gone.await.err(), Some(NoTurn::SentAway));
    assert!(futures::poll!(stays.as_mut()).is_pending());
}
