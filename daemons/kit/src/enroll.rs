//! Enrolling, the client's side: a key, a request to sign it, and what came back, in the state folder.
//!
//! The server is known by the fingerprint in the token before anything is said to it. Nothing is
//! written before the answer was checked: the certificate is for the key, and of the authority that the
//! token names.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nms_proto::{
    frame::Direction,
    framed::Frames,
    json::Decoder,
    limits::ENROLL_MS,
    message::{self, Ack, AckStatus, Command, CommandAction, Message},
    time::Stamp,
};
use smol::io::AsyncWriteExt as _;

use crate::{
    clock, digest,
    net::tcp,
    pki::{self, Request, Seen},
    secret,
    tls::{self, Identity, Own, TlsConnector},
    token::Token,
};

/// Name of the key's file, among what systemd hands over too.
const KEY: &str = "identity-key.pem";

/// Where a client's certificate lies, with its key and the authority of its server.
#[derive(Clone, Debug)]
pub struct Place {
    certificate: PathBuf,
    key: PathBuf,
    /// The authority.
    pub ca: PathBuf,
    /// Whether the key is handed over by systemd, and cannot be written.
    is_given: bool,
}

impl Place {
    /// In the state folder `folder`, with the authority in the file `ca` there.
    pub fn within(folder: &Path, ca: &str) -> Self {
        let given = secret::credential(KEY);
        Self {
            certificate: folder.join("identity.pem"),
            is_given: given.is_some(),
            key: given.unwrap_or_else(|| folder.join(KEY)),
            ca: folder.join(ca),
        }
    }

    /// Whether somebody enrolled here.
    pub fn is_enrolled(&self) -> bool {
        self.certificate.exists()
    }

    /// What was enrolled.
    ///
    /// # Errors
    /// A file cannot be read or used, others may read the key, or it is not the certificate's; and what to do.
    pub fn open(&self) -> Result<(Arc<Identity>, Seen), String> {
        let identity = Own::from_files(&self.certificate, &self.key).and_then(Identity::new);
        let identity = identity.map_err(|error| format!("{error}; enrol again where that cannot be mended"))?;
        let pem = fs::read(&self.certificate).map_err(|error| error.to_string())?;
        let seen = pki::seen(&tls::first_certificate(&pem)?);
        Ok((identity, seen.ok_or_else(|| format!("{} cannot be read", self.certificate.display()))?))
    }

    /// What a client needs to connect: the authority, and its own certificate.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn connector(&self, identity: Arc<Identity>) -> Result<TlsConnector, String> {
        tls::connector_of(&self.ca, identity).map_err(|error| error.to_string())
    }

    /// A request for the key that is there.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn request(&self) -> Result<Request, String> {
        let key = fs::read_to_string(&self.key);
        let key = key.map_err(|error| format!("cannot read {}: {error}", self.key.display()))?;
        Request::with_key(&key).map_err(|error| format!("cannot use {}: {error}", self.key.display()))
    }

    /// Takes the certificate (PEM) that followed the one that is there, for the same key, at `now_ms` (Unix).
    ///
    /// # Errors
    /// It is not for the key, is not valid by our clock, or cannot be written. The one that is there stays then.
    pub fn renew(&self, identity: &Identity, certificate: &str, now_ms: i64) -> Result<Seen, String> {
        let request = self.request()?;
        let own = Own::from_pem(certificate, &request.key).map_err(|error| error.to_string())?;
        let seen = pki::seen(&tls::first_certificate(certificate.as_bytes())?).ok_or("no certificate came")?;
        if !(seen.not_before_ms..seen.not_after_ms).contains(&now_ms) {
            let (from, until) = (Stamp::utc(seen.not_before_ms), Stamp::utc(seen.not_after_ms));
            return Err(format!("what came is valid from {from} until {until}, which is not now: check both clocks"));
        }
        // Refuses a certificate that is not the key's before anything is written.
        identity.replace(own).map_err(|error| error.to_string())?;
        write(&self.certificate, certificate, secret::write_public)?;
        Ok(seen)
    }
}

fn write(path: &Path, text: &str, how: fn(&Path, &str) -> std::io::Result<()>) -> Result<(), String> {
    how(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Where and how to enrol.
#[derive(Clone)]
pub struct Enrolling {
    /// The server, `host:port`.
    pub address: String,
    /// The name that its certificate must carry.
    pub name: String,
    /// The token.
    pub token: Token,
    /// What this host is called.
    pub host: String,
}

impl fmt::Debug for Enrolling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrolling").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How a person asks to be enrolled.
#[derive(Clone, Debug, clap::Args)]
pub struct EnrollArguments {
    /// The token, as it was printed where it was made.
    token: Token,
    /// Where to enrol, host:port; by default what the token says, then what the settings say.
    #[arg(long = "at", alias = "server", alias = "hub", value_name = "HOST:PORT")]
    at: Option<String>,
}

/// What the settings say of the peer, as far as it is needed to enrol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its address.
    pub address: Option<&'a str>,
    /// The name in its certificate, where it is not the host of the address.
    pub name: Option<&'a str>,
}

/// Carries out the verb `enroll` and gives a sentence on what came of it.
///
/// # Errors
/// In words: what failed, and what to do.
pub fn verb(asked: &EnrollArguments, known: Known<'_>, host: &str, place: &Place) -> Result<String, String> {
    let named = asked.at.as_deref().or(asked.token.address.as_deref()).or(known.address);
    let address = named.ok_or("where to? neither the token nor the settings say it: add --at HOST:PORT")?;
    if !tcp::is_dialable(address) {
        return Err(format!("{address} is no host:port that can be dialled"));
    }
    let enrolling = Enrolling {
        address: address.into(),
        name: known.name.unwrap_or(tcp::host_of(address)).into(),
        token: asked.token.clone(),
        host: host.into(),
    };
    let seen = enroll(&enrolling, place)?;
    let holder = seen.holder.map_or_else(|| "somebody".into(), |holder| holder.to_string());
    let serial = seen.serial.map_or_else(String::new, |serial| serial.to_string());
    let until = Stamp::utc(seen.not_after_ms);
    Ok(format!("enrolled at {address} as {holder}, certificate {serial} until {until}, renewed by itself"))
}

/// Enrols, and writes what came of it to `place`; gives what the certificate says. Blocks for at most [`ENROLL_MS`].
///
/// # Errors
/// In words: what failed, and what to do.
pub fn enroll(enrolling: &Enrolling, place: &Place) -> Result<Seen, String> {
    if let Some(folder) = place.certificate.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let request = if place.is_given { place.request()? } else { Request::make().map_err(|error| error.to_string())? };
    let late = async {
        clock::pause(ENROLL_MS).await;
        Err(format!("{} did not answer within {} s", enrolling.address, ENROLL_MS / 1_000))
    };
    let ack = smol::block_on(smol::future::or(ask(enrolling, &request.request), late))?;
    if ack.status != AckStatus::Ok {
        return Err(format!("{} refused: {}", enrolling.address, ack.message));
    }
    let (Some(certificate), Some(ca)) = (ack.certificate, ack.ca) else {
        return Err(format!("{} answered without a certificate", enrolling.address));
    };
    let shown = tls::first_certificate(ca.as_bytes())?;
    if digest::sha256(&shown) != enrolling.token.authority {
        return Err(format!("{} gave an authority that the token does not name", enrolling.address));
    }
    Own::from_pem(&certificate, &request.key)
        .and_then(Identity::new)
        .map_err(|error| format!("{} gave a certificate that is not for our key: {error}", enrolling.address))?;
    let seen = pki::seen(&tls::first_certificate(certificate.as_bytes())?).ok_or("no certificate came")?;
    write(&place.ca, &ca, secret::write_public)?;
    if !place.is_given {
        write(&place.key, &request.key, secret::write_private)?;
    }
    write(&place.certificate, &certificate, secret::write_public)?;
    Ok(seen)
}

async fn ask(enrolling: &Enrolling, request: &str) -> Result<Ack, String> {
    let Enrolling { address, name, token, host } = enrolling;
    let unreachable = |error: &dyn fmt::Display| format!("cannot reach {address}: {error}");
    let connector = tls::pinned(token.authority).map_err(|error| error.to_string())?;
    let name = tls::server_name(name).map_err(|error| error.to_string())?;
    let stream = tcp::dial(address).await.map_err(|error| unreachable(&error))?;
    let stream = connector.connect(name, stream).await.map_err(|error| unreachable(&tls::words(&error)))?;
    let (read, mut write) = smol::io::split(stream);
    let secret = token.secret.text();
    let command = command("enroll", [("csr", request), ("token", &secret), ("host", host)]);
    let frame = Message::Command(command).to_frame(clock::stamp()).map_err(|error| error.to_string())?;
    write.write_all(&frame).await.map_err(|error| unreachable(&error))?;
    write.flush().await.map_err(|error| unreachable(&error))?;
    let mut frames = Frames::new(read, Direction::Downward);
    loop {
        if let Some(payload) = frames.buffered().map_err(|error| unreachable(&error))? {
            return match message::read(&mut Decoder::default(), payload, clock::stamp()) {
                Ok(Message::Ack(ack)) => Ok(ack),
                Ok(other) => Err(format!("{address} answered with {}", other.type_name())),
                Err(problem) => Err(format!("{address} answered what is not understood: {problem}")),
            };
        }
        if !frames.fill().await.map_err(|error| unreachable(&error))? {
            return Err(format!("{address} closed the connection without an answer"));
        }
    }
}

/// The command that asks for a certificate.
pub(crate) fn command<const N: usize>(id: &str, arguments: [(&str, &str); N]) -> Command {
    let arguments = arguments.into_iter().map(|(name, value)| (name.into(), value.into()));
    Command { command_id: id.into(), action: CommandAction::Enroll, target: "".into(), arguments: arguments.collect() }
}
