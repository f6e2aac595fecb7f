//! The crate's one integration target.
mod net;
