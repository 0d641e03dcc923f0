//! The adapter from the first poll on: synthetic feeds over HTTP and in a folder, and real ones.

mod feed;
mod real_data;
mod support;
