//! Who may publish, and to which topics.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::TopicFilter;

/// A user as a configuration names one, under `[mqtt.users]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The password's hash by Argon2, as a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    pub password: String,
    /// The topics that the user may publish to, as topic filters in which `%u` stands for the
    /// user's name. A slash at the beginning makes no difference.
    pub topics: Vec<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Why a configured user is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the MQTT user {name:?} is not valid: {reason}")]
pub struct InvalidUser {
    /// The user's name.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

/// A user who has shown the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    name: Arc<str>,
    hash: Arc<str>,
    topics: Arc<[TopicFilter]>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Account {
    /// The user's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the user may publish to this topic.
    pub fn may_publish(&self, topic: &str) -> bool {
        let topic = topic.strip_prefix('/').unwrap_or(topic);
        self.topics.iter().any(|filter| filter.matches(topic))
    }
}

/// The users of a listener. With none, nobody has to say who they are.
///
/// Checking a password is expensive on purpose, so one is checked at a time, and one that was
/// right is remembered (as a keyed hash) as long as the process runs: a thousand devices that
/// connect again after a power cut cost nothing.
pub struct Users {
    accounts: HashMap<Box<str>, Account>,
    keys: [RandomState; 2],
    verified: Mutex<HashMap<Arc<str>, [u64; 2]>>,
    turn: Semaphore,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").field("count", &self.accounts.len()).finish_non_exhaustive()
    }
}

impl Default for Users {
    fn default() -> Self {
        Self {
            accounts: HashMap::new(),
            keys: [RandomState::new(), RandomState::new()],
            verified: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Users {
    /// These users.
    ///
    /// # Errors
    ///
    /// [`InvalidUser`] if a name is empty or holds `/`, `+` or `#`, a password is no Argon2 hash,
    /// or a topic is no topic filter.
    pub fn new(users: impl IntoIterator<Item = (String, User)>) -> Result<Self, InvalidUser> {
        let mut known = Self::default();
        for (name, user) in users {
            let account = account(&name, &user)
                .map_err(|reason| InvalidUser { name: name.clone(), reason })?;
            known.accounts.insert(name.into(), account);
        }
        Ok(known)
    }

    /// Whether nobody has to say who they are.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The user of that name, if the password is right.
    pub async fn authenticate(&self, name: &str, password: &str) -> Option<Account> {
        let known = self.accounts.get(name);
        let digest = self.keys.each_ref().map(|key| key.hash_one((name, password)));
        if let Some(account) = known
            && self.verified.lock().get(name) == Some(&digest)
        {
            return Some(account.clone());
        }
        // An unknown name costs what a known one does, so that the time tells nothing.
        let hash = known.or_else(|| self.accounts.values().next())?.hash.clone();
        let given = password.to_owned();
        let turn = self.turn.acquire().await.ok()?;
        let right = tokio::task::spawn_blocking(move || verify(&given, &hash)).await.ok()?;
        drop(turn);
        let account = known.filter(|_| right)?;
        self.verified.lock().insert(account.name.clone(), digest);
        Some(account.clone())
    }
}

fn account(name: &str, user: &User) -> Result<Account, String> {
    if name.is_empty() || name.contains(['/', '+', '#', '\0']) {
        return Err("a name is not empty and holds no /, + or #".to_owned());
    }
    let hash = PasswordHash::new(&user.password)
        .map_err(|error| format!("the password is no Argon2 hash in PHC form ({error})"))?;
    if !hash.algorithm.as_str().starts_with("argon2") {
        return Err(format!("the password is hashed by {}, not by Argon2", hash.algorithm));
    }
    let topics = user
        .topics
        .iter()
        .map(|topic| {
            let topic = topic.replace("%u", name);
            topic.strip_prefix('/').unwrap_or(&topic).parse::<TopicFilter>()
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    Ok(Account { name: name.into(), hash: user.password.as_str().into(), topics: topics.into() })
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::CustomizedPasswordHasher;
    use argon2::{Params, Version};

    use super::*;

    fn hash(password: &str) -> String {
        let params = Params::new(8, 1, 1, None).unwrap();
        let hash: PasswordHash = Argon2::default()
            .hash_password_customized(
                password.as_bytes(),
                b"a salt of 16 byt",
                Some("argon2id"),
                Some(Version::V0x13.into()),
                params,
            )
            .unwrap();
        hash.to_string()
    }

    fn user(password: &str, topics: &[&str]) -> User {
        User {
            password: hash(password),
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let users = Users::new([("gw1".to_owned(), user("secret", &["/json/%u/#"]))]).unwrap();
        for _ in 0..2 {
            assert!(users.authenticate("gw1", "wrong").await.is_none());
            assert!(users.authenticate("gw2", "secret").await.is_none());
            let account = users.authenticate("gw1", "secret").await.unwrap();
            assert_eq!(account.name(), "gw1");
        }
        assert_eq!(users.verified.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_user_publishes_only_to_the_own_topics() {
        let users =
            Users::new([("gw1".to_owned(), user("s", &["/json/%u/#", "plain/+"]))]).unwrap();
        let account = users.authenticate("gw1", "s").await.unwrap();
        for topic in ["/json/gw1/d/attrs", "json/gw1/d/attrs", "plain/a", "/plain/a"] {
            assert!(account.may_publish(topic), "{topic}");
        }
        for topic in ["/json/gw2/d/attrs", "json/gw11/d/attrs", "plain/a/b", "", "/"] {
            assert!(!account.may_publish(topic), "{topic}");
        }
    }

    #[test]
    fn a_wrong_user_is_refused_by_name() {
        let refuse = |name: &str, user: User, part: &str| {
            let error = Users::new([(name.to_owned(), user)]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refuse("a+b", user("s", &[]), "\"a+b\"");
        refuse("gw", User { password: "plain".to_owned(), topics: Vec::new() }, "PHC");
        refuse("gw", user("s", &["a/#/b"]), "a/#/b");
    }

    #[test]
    fn nothing_that_is_printed_holds_a_hash() {
        let given = user("s", &["a"]);
        let hash = given.password.clone();
        let users = Users::new([("gw".to_owned(), given.clone())]).unwrap();
        let printed = format!("{given:?}{users:?}{:?}", users.accounts.values().next());
        assert!(!printed.contains(&hash));
    }
}
