//! Local sources: file tail, journal, file integrity.
#![forbid(unsafe_code)]
