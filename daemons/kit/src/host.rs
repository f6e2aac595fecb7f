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

/// The users that `names` stand for: users as they are, groups as their members. A name that is neither stays.
pub fn members(names: &[String]) -> Vec<Box<str>> {
    let mut users: Vec<Box<str>> = Vec::new();
    for name in names {
        users.push(name.as_str().into());
        if let Ok(Some(group)) = nix::unistd::Group::from_name(name) {
            users.extend(group.mem.into_iter().map(String::into_boxed_str));
        }
    }
    users.sort();
    users.dedup();
    users
}

/// The user id of the user `name`.
pub fn user_id(name: &str) -> Option<u32> {
    nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}
