//! End-to-end tests only: see `tests/it`. The real binaries run on loopback with a folder of their
//! own; `cargo xtask test` builds them and names their folder in `NMS_BIN`.
#![forbid(unsafe_code)]
