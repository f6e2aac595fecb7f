//! What the host says of itself.

use rustix::system::uname;

/// The host's name; `unknown` where it is not UTF-8.
pub fn name() -> String {
    uname().nodename().to_str().unwrap_or("unknown").to_owned()
}

/// The operating system, such as `Linux 6.1.0`.
pub fn system() -> String {
    let system = uname();
    format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy())
}

/// The user id of the user `name`.
pub fn user_id(name: &str) -> Option<u32> {
    nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}
