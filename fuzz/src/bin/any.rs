//! One program for all targets: `NMS_FUZZ_TARGET` names the one that the fuzzer drives. One link instead of thirty.
#![no_main]
#![allow(unsafe_code, reason = "the macro exports the function that the fuzzer calls")]
#![allow(clippy::print_stderr, clippy::panic, reason = "the fuzzer talks to whoever runs it")]

use std::sync::OnceLock;

use nms_fuzz::{Target, bound_memory, target};

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        bound_memory();
        let name = std::env::var("NMS_FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("NMS_FUZZ_TARGET={name:?} is no target"))
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (chosen().run)(bytes);
});
