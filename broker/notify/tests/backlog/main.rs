//! A million notifications are due, and nobody takes them.
//!
//! In a process of its own, because it measures the memory of the process. `MUSUBI_BACKLOG` says
//! how many are due, in thousands; 1,000 by default. Any multiple of 20 does, from 200 on.

#[cfg(test)]
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../delivery/receiver.rs"]
mod receiver;
#[cfg(test)]
#[expect(dead_code, reason = "other tests use more of it")]
#[path = "../delivery/town.rs"]
mod town;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use musubi_notify::NotifierOptions;
    use musubi_store::RecordKind;
    use tokio::net::TcpSocket;

    use crate::receiver::Receiver;
    use crate::town::{Town, id, ledger, quick, to};

    const SUBSCRIPTIONS: u64 = 1000;
    /// Of these, so many are still there in the end.
    const LEFT: u64 = 10;
    const STEPS: u64 = 20;

    /// Changes, each of which is due to all subscriptions.
    fn changes() -> u64 {
        std::env::var("MUSUBI_BACKLOG").map_or(1000, |text| text.parse().expect("a number"))
    }

    /// Bytes of memory that this process holds.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes = line.trim().strip_suffix(" kB").unwrap();
        kilobytes.parse::<usize>().unwrap() * 1024
    }

    /// Asks rarely, and never gives up.
    fn options() -> NotifierOptions {
        let pause = Duration::from_millis(100);
        NotifierOptions {
            lane_window: 16,
            first_retry: pause,
            longest_retry: pause,
            attempts: u32::MAX,
            ..quick()
        }
    }

    fn pairs(number: u64) -> usize {
        usize::try_from(number).unwrap()
    }

    /// Rows of the outbox, and their bytes.
    async fn outbox(town: &Town) -> (usize, usize) {
        let rows = town.records(RecordKind::Outbox).await;
        (rows.len(), rows.iter().map(|row| row.value.len()).sum())
    }

    #[tokio::test]
    async fn however_much_is_due_to_nobody_who_listens_memory_has_bounds_and_all_is_accounted_for()
    {
        let changes = changes();
        let town = Town::new();
        // Nobody listens on it, so connections are refused, and nobody else gets it.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let name = |n: u64| n.to_string();
        for n in 0..SUBSCRIPTIONS {
            town.subscribe(&to(&name(n), &format!("http://{address}/{n}"))).await;
        }
        let mut running = town.run(options());
        let mut at_first = 0;
        for step in 1..=STEPS {
            for count in (step - 1) * changes / STEPS..step * changes / STEPS {
                town.write(count).await;
            }
            running.caught_up().await;
            let pending = SUBSCRIPTIONS * (step * changes / STEPS);
            assert_eq!(running.notifications.totals(), ledger([0, pending, 0, 0]));
            if step == 2 {
                // By now all lanes are full.
                at_first = resident();
            }
        }
        let pending = SUBSCRIPTIONS * changes;
        let (rows, bytes) = outbox(&town).await;
        assert!(rows <= pairs(pending) / 500, "{rows} rows");
        let grown = resident().saturating_sub(at_first);
        eprintln!(
            "{pending} pending in {rows} rows of {bytes} bytes, {grown} bytes more in memory"
        );
        // The store is in memory, and its log and its rows with it. Beyond them there is nothing
        // for each pair: that it is pending alone would take 32 bytes.
        assert!(grown < bytes + pairs(pending) * 16, "{grown} bytes for {pending} pairs");
        running.kill().await;
        running = town.run(options());
        running.caught_up().await;
        assert_eq!(running.notifications.totals(), ledger([0, pending, 0, 0]));
        let grown = resident().saturating_sub(at_first);
        assert!(grown < bytes + pairs(pending) * 16, "{grown} bytes for {pending} pairs");

        // Almost all give up.
        for n in LEFT..SUBSCRIPTIONS {
            town.unsubscribe(&id(&name(n))).await;
        }
        running.caught_up().await;
        let (kept, gone) = (LEFT * changes, (SUBSCRIPTIONS - LEFT) * changes);
        assert_eq!(running.notifications.totals(), ledger([0, kept, 0, gone]));

        // The endpoint is there.
        let receiver = Receiver::listen(socket.listen(64).unwrap());
        running.settled().await;
        assert_eq!(running.notifications.totals(), ledger([kept, 0, 0, gone]));
        for n in 0..LEFT {
            let expected: Vec<_> = (0..changes).collect();
            assert_eq!(receiver.witnessed(&format!("/{n}")), expected);
        }
        assert_eq!(outbox(&town).await, (0, 0));
    }
}
