//! The spool against a plain model.
