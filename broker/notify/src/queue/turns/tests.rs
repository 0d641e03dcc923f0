use super::*;

const SECOND: Duration = Duration::from_secs(1);
const DOWN: Sign = Sign::Down(Duration::ZERO);

fn endpoint(name: &str) -> EndpointKey {
    EndpointKey::of(&Tenant::default(), &format!("http://{name}:1/").parse().unwrap())
}

fn account(tenant: &str, number: usize) -> AccountKey {
    let id = format!("urn:x:{number}").parse().unwrap();
    AccountKey { tenant: tenant.parse().unwrap(), id }
}

fn turns(total: usize, per_endpoint: usize) -> Turns {
    Turns::new(Bounds { total, per_endpoint, slow: SECOND })
}

/// Begins all deliveries that may, and says of whom and where to they are.
fn begin(turns: &mut Turns, now: Instant) -> Vec<(String, EndpointKey, Ticket)> {
    let mut begun = Vec::new();
    while let Some(turn) = turns.next(now) {
        if let Turn::Deliver(key, account) = turn {
            let ticket = turns.begin(&key, now);
            begun.push((format!("{} {}", account.tenant, account.id), key, ticket));
        }
    }
    begun
}

fn end(turns: &mut Turns, (key, ticket): (&EndpointKey, Ticket), now: Instant, sign: Sign) {
    turns.end(key, (ticket, now), sign, (2, |_| 10 * SECOND));
}

/// An endpoint that has answered.
fn known(turns: &mut Turns, name: &str, now: Instant) -> EndpointKey {
    let key = endpoint(name);
    turns.join(&key);
    turns.queue(&key, account("first", 0));
    for (_, key, ticket) in begin(turns, now) {
        end(turns, (&key, ticket), now, Sign::Alive);
    }
    key
}

fn queue(turns: &mut Turns, key: &EndpointKey, tenant: &str, number: usize) {
    for n in 0..number {
        turns.queue(key, account(tenant, n));
    }
}

#[tokio::test(start_paused = true)]
async fn turns_go_round_over_tenants_then_endpoints_then_subscriptions() {
    let now = Instant::now();
    let mut turns = turns(9, 9);
    let (a, b) = (known(&mut turns, "a", now), known(&mut turns, "b", now));
    queue(&mut turns, &a, "large", 5);
    queue(&mut turns, &b, "large", 5);
    queue(&mut turns, &a, "small", 2);
    let begun = begin(&mut turns, now);
    let order: Vec<_> = begun.iter().map(|(who, key, _)| format!("{who} {key}")).collect();
    let expected = [
        "large urn:x:0 http://a:1",
        "small urn:x:0 http://a:1",
        "large urn:x:0 http://b:1",
        "small urn:x:1 http://a:1",
        "large urn:x:1 http://a:1",
        "large urn:x:1 http://b:1",
        "large urn:x:2 http://a:1",
        "large urn:x:2 http://b:1",
        "large urn:x:3 http://a:1",
    ];
    assert_eq!(order, expected);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_gets_so_many_at_a_time_and_one_of_which_nothing_is_known_gets_one() {
    let now = Instant::now();
    let mut turns = turns(100, 3);
    let new = endpoint("new");
    turns.join(&new);
    queue(&mut turns, &new, "town", 9);
    let begun = begin(&mut turns, now);
    assert_eq!(begun.len(), 1);
    end(&mut turns, (&new, begun[0].2), now, Sign::None);
    let begun = begin(&mut turns, now);
    assert_eq!(begun.len(), 1, "it has not answered");
    end(&mut turns, (&new, begun[0].2), now, Sign::Alive);
    let begun = begin(&mut turns, now);
    assert_eq!(begun.len(), 3);
    end(&mut turns, (&new, begun[1].2), now, Sign::Alive);
    assert_eq!(begin(&mut turns, now).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_makes_an_endpoint_slow_until_it_answers_soon() {
    let now = Instant::now();
    let mut turns = turns(100, 3);
    let key = known(&mut turns, "a", now);
    queue(&mut turns, &key, "town", 20);
    let begun = begin(&mut turns, now);
    let later = now + SECOND + SECOND / 10;
    end(&mut turns, (&key, begun[0].2), now, Sign::Alive);
    assert_eq!(begin(&mut turns, now).len(), 1, "it was soon");
    // The others are under way for more than a second.
    assert!(begin(&mut turns, later).is_empty());
    end(&mut turns, (&key, begun[1].2), later, Sign::Alive);
    assert!(begin(&mut turns, later).is_empty(), "others are still under way");
    assert_eq!(turns.in_flight.slow, 2);
    end(&mut turns, (&key, begun[2].2), later, Sign::Alive);
    assert!(begin(&mut turns, later).is_empty());
    let mut last = turns.running.keys().next().copied();
    if last.is_none() {
        // The fourth has been noticed, too.
        last = Some(Ticket { began: now, number: turns.number });
    }
    end(&mut turns, (&key, last.unwrap()), later, Sign::Alive);
    let [(_, _, one)] = begin(&mut turns, later)[..] else { panic!("one at a time") };
    end(&mut turns, (&key, one), later, Sign::Alive);
    assert_eq!(begin(&mut turns, later).len(), 3, "it answers soon again");
    assert_eq!((turns.in_flight.sum(), turns.in_flight.slow), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_endpoints_share_half_of_all_and_the_others_never_have_less_than_half() {
    let now = Instant::now();
    let mut turns = turns(8, 3);
    let slow: Vec<_> = (0..6).map(|n| known(&mut turns, &format!("slow{n}"), now)).collect();
    let quick = known(&mut turns, "quick", now);
    // Six of them take everything before it shows how they are.
    for key in &slow {
        queue(&mut turns, key, "town", 10);
    }
    let begun = begin(&mut turns, now);
    assert_eq!(begun.len(), 8);
    let later = now + 2 * SECOND;
    queue(&mut turns, &quick, "other", 10);
    let quicks = begin(&mut turns, later);
    assert!(quicks.iter().all(|(_, key, _)| *key == quick));
    assert_eq!((quicks.len(), turns.in_flight.slow), (3, 8));
    for (_, key, ticket) in &begun {
        end(&mut turns, (key, *ticket), later, Sign::Alive);
    }
    let again = begin(&mut turns, later);
    let mut places: Vec<_> = again.iter().map(|(_, key, _)| key.clone()).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 4, "half of eight, one for each: {again:?}");
    assert_eq!((again.len(), turns.in_flight.slow), (4, 4));
    // When one of them ends another one is next.
    end(&mut turns, (&again[0].1, again[0].2), later, Sign::Alive);
    let next = begin(&mut turns, later);
    assert!(next.iter().any(|(_, key, _)| !places.contains(key)), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_left_alone_and_woken_once() {
    let now = Instant::now();
    let mut turns = turns(8, 3);
    let key = known(&mut turns, "a", now);
    for tenant in ["one", "two", "three"] {
        queue(&mut turns, &key, tenant, 2);
    }
    for (_, key, ticket) in begin(&mut turns, now) {
        end(&mut turns, (&key, ticket), now, DOWN);
    }
    assert!(turns.is_left_alone(&key));
    let Some(Turn::Wait(waiting, until)) = turns.next(now) else { panic!("it waits") };
    assert_eq!((waiting, until), (key.clone(), now + 10 * SECOND));
    assert!(turns.next(now).is_none(), "nobody else has to be told");
    turns.wake(&key, until);
    let [(_, _, probe)] = begin(&mut turns, until)[..] else { panic!("one probe is expected") };
    end(&mut turns, (&key, probe), until, Sign::Alive);
    assert!(!turns.is_left_alone(&key));
    assert_eq!(begin(&mut turns, until).len(), 2, "all that is left");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_any_more_gets_no_turn_and_nothing_is_left_of_an_endpoint_that_is_gone() {
    let now = Instant::now();
    let mut turns = turns(8, 1);
    let key = known(&mut turns, "a", now);
    queue(&mut turns, &key, "town", 3);
    turns.withdraw(&key, &account("town", 0));
    turns.withdraw(&key, &account("town", 7));
    let [(who, _, ticket)] = &begin(&mut turns, now)[..] else { panic!("one is expected") };
    assert_eq!(who, "town urn:x:1");
    // The third is parked.
    turns.leave(&key);
    end(&mut turns, (&key, *ticket), now, Sign::Alive);
    assert!(begin(&mut turns, now).is_empty());
    assert!(turns.endpoints.is_empty() && turns.tenants.is_empty() && turns.round.is_empty());
    assert_eq!((turns.in_flight.sum(), turns.running.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_have_not_answered_share_a_quarter_and_make_room_when_they_take_long() {
    let now = Instant::now();
    let mut turns = turns(8, 3);
    for n in 0..30 {
        let key = endpoint(&format!("new{n:02}"));
        turns.join(&key);
        turns.queue(&key, account("town", n));
    }
    assert_eq!(turns.look_at(), None, "nothing is under way");
    assert_eq!(begin(&mut turns, now).len(), 2);
    let mut now = now;
    for under_way in [4, 6, 8, 10, 12] {
        let at = turns.look_at().unwrap();
        assert!(at > now + SECOND);
        now = at;
        assert_eq!(begin(&mut turns, now).len(), 2);
        assert_eq!(turns.in_flight.sum(), under_way);
    }
    now += 2 * SECOND;
    assert!(begin(&mut turns, now).is_empty(), "half of what is kept for others at most");
    let quick = endpoint("quick");
    turns.join(&quick);
    turns.endpoints.get_mut(&quick).unwrap().note(Sign::Alive, false);
    queue(&mut turns, &quick, "other", 9);
    assert_eq!(begin(&mut turns, now).len(), 3);
}
