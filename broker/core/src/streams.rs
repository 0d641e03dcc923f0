//! Streams: what is due to a subscription, for a client that comes and gets it.

use bytes::Bytes;
use musubi_notify::{Feed, FeedEnd, FeedEvent, StreamRefused, SubscriptionId};

use crate::seal::Places;
use crate::{Error, Right, Session};

/// What is due to a subscription, from some place on, each change once and in order.
#[derive(Debug)]
pub struct Stream {
    feed: Feed,
    places: Places,
}

/// One thing that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// A change is due.
    Notification {
        /// Where the client goes on if it comes back after this.
        cursor: String,
        /// The notification, as it would be sent to an endpoint: JSON.
        body: Bytes,
    },
    /// Something may be missing: what happened between two places is no longer in the log.
    Gap {
        /// The cursor up to which everything was told.
        from: String,
        /// The cursor after which everything will be.
        to: String,
    },
    /// Nothing more will come.
    End(FeedEnd),
}

impl Session {
    /// What is due to a subscription after a cursor, or from now on if there is none. Any
    /// subscription can be followed, whatever its endpoint, and any number of clients follow one.
    ///
    /// # Errors
    ///
    /// [`Error::ResourceNotFound`] if there is no such subscription, or its time is over;
    /// [`Error::BadRequestData`] if the cursor is not one that this tenant was given;
    /// [`Error::NotSupported`] if what the subscription tells are not changes;
    /// [`Error::Exhausted`] if there are too many streams.
    pub async fn stream(&self, id: &SubscriptionId, after: Option<&str>) -> Result<Stream, Error> {
        self.caller.require(Right::ReadEntities)?;
        let subscription = self.retrieve_subscription(id).await?.subscription;
        let name = id.as_str();
        if subscription.status(self.now()) == musubi_notify::Status::Expired {
            let what = format!("stream of subscription {name}: the subscription has expired");
            return Err(Error::ResourceNotFound(what));
        }
        if !subscription.wants_changes() {
            let reason = "a subscription with timeInterval or silentFor does not tell changes";
            return Err(Error::NotSupported(format!("{name} cannot be streamed: {reason}")));
        }
        let places = self.seal().await.places();
        let foreign = || Error::BadRequestData("the cursor is not one of this tenant".to_owned());
        let after = after.filter(|text| !text.is_empty());
        let after = after.map(|text| places.open(text).ok_or_else(foreign)).transpose()?;
        let streams = &self.broker.shared().streams;
        let feed = streams.follow(&self.tenant, id, after)?;
        Ok(Stream { feed, places })
    }
}

impl Stream {
    /// The next thing to tell. Nothing is lost if the wait for it is given up. After the end it
    /// says so again.
    pub async fn next(&mut self) -> StreamEvent {
        match self.feed.next().await {
            FeedEvent::Notification { at, body } => {
                StreamEvent::Notification { cursor: self.places.seal(at), body }
            }
            FeedEvent::Gap { from, to } => {
                StreamEvent::Gap { from: self.places.seal(from), to: self.places.seal(to) }
            }
            FeedEvent::End(end) => StreamEvent::End(end),
        }
    }

    /// Where the client goes on if it comes back now. Moves on while nothing is due, so that a
    /// client to which little is due does not fall behind the log.
    pub fn cursor(&mut self) -> String {
        self.places.seal(self.feed.place())
    }
}

impl From<StreamRefused> for Error {
    fn from(refused: StreamRefused) -> Self {
        Self::Exhausted(refused.to_string())
    }
}
