//! The daemons' settings as the stage writes them: one function a daemon, each key once.

use std::path::Path;

/// A hub's ports on 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Syslog over UDP.
    pub udp: u16,
    /// Syslog over TCP.
    pub tcp: u16,
    /// Agents, without TLS.
    pub agents: u16,
}

/// A server's; `more` are further keys of the top level, or tables.
pub(crate) fn server(root: &Path, port: u16, more: &str) -> String {
    let root = root.display();
    format!("state = \"{root}/server\"\nruntime = \"{root}/run-server\"\nlisten = \"127.0.0.1:{port}\"\n{more}\n")
}

/// A hub's; `more` are further keys of its server section.
pub(crate) fn hub(root: &Path, name: &str, hub: &Hub, server_port: u16, more: &str) -> String {
    let root = root.display();
    let Hub { udp, tcp, agents } = hub;
    format!(
        "name = \"{name}\"\nstate = \"{root}/{name}\"\nruntime = \"{root}/run-{name}\"\n\
         plain_networks = [\"127.0.0.0/8\"]\nown_host = false\n\
         [listen]\nsyslog_udp = \"127.0.0.1:{udp}\"\nsyslog_tcp = \"127.0.0.1:{tcp}\"\nagents = \"127.0.0.1:{agents}\"\n\
         [server]\naddress = \"127.0.0.1:{server_port}\"\nca = \"{root}/server/ca.pem\"\n{more}\n"
    )
}

/// An agent's: it reads `files` from their start, and watches what is below `watched`. What else runs on the machine is
/// not told, or no test could count.
pub(crate) fn agent(root: &Path, name: &str, hub: &Hub, files: &[&Path], watched: &[&Path]) -> String {
    let root = root.display();
    let (files, is_watching, watched, port) = (list(files), !watched.is_empty(), list(watched), hub.agents);
    format!(
        "name = \"{name}\"\nstate = \"{root}/{name}\"\nruntime = \"{root}/run-{name}\"\njournal = false\nfiles = {files}\nfrom_start = true\n\
         [hub]\naddress = \"127.0.0.1:{port}\"\nplain = true\n\
         [fim]\nenabled = {is_watching}\ninclude = {watched}\n\
         [processes]\nenabled = false\n[connections]\nenabled = false\n"
    )
}

/// Paths as a TOML array.
fn list(paths: &[&Path]) -> String {
    let quoted: Vec<String> = paths.iter().map(|path| format!("\"{}\"", path.display())).collect();
    format!("[{}]", quoted.join(", "))
}
