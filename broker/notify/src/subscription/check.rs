//! What the members of a subscription demand of each other (CIM 009, clause 5.2.12).

use super::{InvalidSubscription, Subscription};

impl Subscription {
    /// Refuses a subscription that lacks what it needs, or has what does not go together.
    pub(super) fn check(&self) -> Result<(), InvalidSubscription> {
        let everything = self.entities.is_empty() && self.watched_attributes.is_empty();
        if everything && self.local_only != Some(true) {
            return wrong("entities", "one of entities and watchedAttributes is required");
        }
        self.check_interval()?;
        self.check_silence()?;
        self.check_stream()
    }

    fn check_interval(&self) -> Result<(), InvalidSubscription> {
        if self.time_interval.is_none() {
            return Ok(());
        }
        if self.entities.is_empty() && self.local_only != Some(true) {
            return wrong("entities", "with timeInterval, this member is required");
        }
        if !self.watched_attributes.is_empty() {
            return wrong("watchedAttributes", "with timeInterval, no change is watched for");
        }
        if self.throttling.is_some() {
            return wrong("throttling", "timeInterval says how often: not both");
        }
        if self.triggers.is_some() {
            return wrong("notificationTrigger", "with timeInterval, no change is watched for");
        }
        Ok(())
    }

    fn check_silence(&self) -> Result<(), InvalidSubscription> {
        if self.silent_for.is_none() {
            return Ok(());
        }
        if self.time_interval.is_some() {
            return wrong("silentFor", "a subscription has timeInterval or silentFor: not both");
        }
        if self.throttling.is_some() {
            return wrong("throttling", "with silentFor, an entity is told once when it is silent");
        }
        if self.triggers.is_some() {
            return wrong("notificationTrigger", "with silentFor, silence and return are told");
        }
        if self.initial_notification() {
            return wrong("initialNotification", "with silentFor, silence and return are told");
        }
        Ok(())
    }

    /// What is not a change has no place in the log, which is what a stream shows.
    fn check_stream(&self) -> Result<(), InvalidSubscription> {
        if !self.is_stream() {
            return Ok(());
        }
        let reason = "the stream of a subscription shows changes alone";
        if self.time_interval.is_some() {
            return wrong("timeInterval", reason);
        }
        if self.silent_for.is_some() {
            return wrong("silentFor", reason);
        }
        if self.initial_notification() {
            return wrong("initialNotification", reason);
        }
        Ok(())
    }
}

fn wrong(member: &str, reason: &str) -> Result<(), InvalidSubscription> {
    Err(InvalidSubscription::forbidden(format!("/{member}"), reason))
}
