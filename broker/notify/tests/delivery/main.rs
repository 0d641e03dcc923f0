//! The notifier over real sockets: a plain store, a receiver, and everything that can go wrong
//! between them.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod routine;
#[cfg(test)]
mod store;
#[cfg(test)]
mod town;
#[cfg(test)]
mod trouble;
