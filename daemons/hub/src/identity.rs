//! The hub's own authority: it enrols the hub's agents, and signs what the hub shows to agents and devices.
//!
//! Only the authority's key lies on the disk. The hub's certificate is made anew at each start, so it
//! carries the names that the settings have now and never grows old.

use std::{net::IpAddr, sync::Arc};

use nms_kit::{
    clock,
    pki::{Authority, Files, HUB_NAME, Holder},
    roll::Roll,
    tls::{self, Own, TlsAcceptor},
};

use crate::{StartError, config::Config};

/// Longest name of an agent, in characters.
const NAME_CHARACTERS_MAX: usize = 64;
/// Names of sources that are no agents.
const TAKEN: [&str; 3] = ["self", "udp", "other"];

/// The authority, and what is shown with its word.
pub(crate) struct Identity {
    /// Which agents are enrolled.
    pub(crate) roll: Arc<Roll>,
    /// For agents.
    pub(crate) acceptor: TlsAcceptor,
    own: (String, String),
}

impl Identity {
    /// Opens the authority of the hub's state folder, or makes it.
    pub(crate) fn open(config: &Config) -> Result<Self, StartError> {
        let now_ms = clock::unix_ms();
        let authority =
            Authority::open_or_make(&Files::within(&config.state), now_ms).map_err(StartError::Authority)?;
        let names: Vec<String> = [HUB_NAME.to_owned()].into_iter().chain(config.names.iter().cloned()).collect();
        let own = authority.server(&names, now_ms).map_err(StartError::Authority)?;
        let shown = Own::from_pem(&own.0, &own.1).map_err(StartError::Tls)?;
        let acceptor = tls::acceptor_of_clients(shown, authority.pem()).map_err(StartError::Tls)?;
        let roll = Roll::open(&config.state.join("identity.redb"), authority).map_err(StartError::Store)?;
        Ok(Self { roll: Arc::new(roll), acceptor, own })
    }

    /// What is shown to devices: the certificate that the settings name, else the hub's own.
    pub(crate) fn for_devices(&self, config: &Config) -> Result<TlsAcceptor, StartError> {
        let own = match &config.syslog_tls {
            Some(named) => Own::from_files(&named.certificate, &named.key),
            None => {
                Own::from_pem(&self.own.0, &self.own.1).and_then(|own| own.with_authority(self.roll.authority().pem()))
            }
        };
        own.and_then(tls::acceptor_of_devices).map_err(StartError::Tls)
    }
}

/// Whether the keys that are there already can be used; nothing is made.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    let files = Files::within(&config.state);
    if files.ca.exists() {
        Authority::open(&files).map_err(StartError::Authority)?;
    }
    if let Some(named) = &config.syslog_tls {
        Own::from_files(&named.certificate, &named.key).map_err(StartError::Tls)?;
    }
    Ok(())
}

/// Whom a token is for: the agent's name is what its events come from.
pub(crate) fn agent(name: &str) -> Result<Holder, String> {
    let is_written = name.chars().all(|character| character.is_ascii_alphanumeric() || "._-".contains(character));
    let is_long = !(1..=NAME_CHARACTERS_MAX).contains(&name.len());
    if !is_written || is_long || TAKEN.contains(&name) || name.parse::<IpAddr>().is_ok() {
        let taken = TAKEN.join(", ");
        return Err(format!(
            "{name:?} can be no agent's name: 1 to 64 letters, digits, . _ -, no address, none of {taken}"
        ));
    }
    Ok(Holder::Agent(name.into()))
}
