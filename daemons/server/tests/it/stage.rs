//! The whole server on a loopback socket, and hubs that speak to it by hand.

use std::path::{Path, PathBuf};

use nms_kit::{clock, digest, net::tcp, pki, task::Tasks, tls};
use nms_proto::{
    event::Event,
    frame::Direction,
    framed::Frames,
    id::{BatchSeq, Instance},
    json::Decoder,
    message::{self, Ack, AckStatus, BatchBuilder, Message, Register, Results, Skipped, batch_frame},
    time::Stamp,
};
use nmsd_server::{
    Running, StartError,
    config::{self, Config, Retention, TokenTenant},
    start_with,
};
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::world::{START_MS, bundle, tenant_id};

/// Longest wait for anything, in milliseconds; a test that works never waits for it.
const PATIENCE_MS: u64 = 30_000;

/// A server that runs in this process.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    tasks: Tasks,
    pub(crate) running: Running,
    pub(crate) control: PathBuf,
}

impl Stage {
    pub(crate) fn set() -> Self {
        Self::set_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn set_in(folder: tempfile::TempDir) -> Self {
        Self::set_behind(folder, &[], false)
    }

    /// With load balancers in `proxies`; peers without a token are the tenants of their addresses, or nobody.
    pub(crate) fn set_behind(folder: tempfile::TempDir, proxies: &[&str], public_ip: bool) -> Self {
        Self::try_behind(folder, proxies, public_ip).unwrap()
    }

    fn try_behind(folder: tempfile::TempDir, proxies: &[&str], public_ip: bool) -> Result<Self, StartError> {
        let state = folder.path().to_path_buf();
        let files = config::pki_files(&state);
        if !files.ca.exists() {
            pki::init(&files, &["127.0.0.1".into()], clock::unix_ms()).unwrap();
        }
        let config = Self::config(&state, proxies, public_ip);
        let control = config.control.clone();
        let tasks = Tasks::start(2).unwrap();
        let running = smol::block_on(start_with(config, &tasks, &bundle()))?;
        Ok(Self { folder, tasks, running, control })
    }

    /// The tenant whose token is its name.
    pub(crate) fn tenant(name: &str) -> TokenTenant {
        TokenTenant { id: tenant_id(name), token_sha256: digest::sha256(name.as_bytes()) }
    }

    /// The settings of a server whose state lies in a folder, with the tenants `home` and `work`.
    pub(crate) fn config(state: &Path, proxies: &[&str], public_ip: bool) -> Config {
        let files = config::pki_files(state);
        Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            control: state.join("run/control.sock"),
            certificate: files.certificate,
            key: files.key,
            public_ip,
            tenants: vec![Self::tenant("home"), Self::tenant("work")],
            retention: Retention { days: 30, bytes: 1 << 30, alerts: 1_000 },
            analysis_threads: 2,
            uncommitted_bytes_max: 4 << 20,
            heartbeat_interval: 7,
            proxy_networks: proxies.iter().map(|network| network.parse().unwrap()).collect(),
            model: None,
            state: state.into(),
        }
    }

    /// Why none starts there.
    pub(crate) fn refused(folder: tempfile::TempDir) -> String {
        Self::try_behind(folder, &[], false).map(|_| ()).unwrap_err().to_string()
    }

    /// Ends the server in order.
    pub(crate) fn end(self) -> tempfile::TempDir {
        assert_eq!(self.tasks.join(PATIENCE_MS), [""; 0]);
        self.running.close();
        self.folder
    }

    pub(crate) async fn peer(&self) -> Peer {
        self.peer_by(tls::connector(&config::pki_files(self.folder.path()).ca).unwrap()).await
    }

    pub(crate) async fn peer_by(&self, connector: tls::TlsConnector) -> Peer {
        Self::peer_over(tcp::dial(&self.running.address.to_string()).await.unwrap(), connector).await
    }

    pub(crate) async fn peer_over(stream: smol::net::TcpStream, connector: tls::TlsConnector) -> Peer {
        let stream = connector.connect(tls::server_name("127.0.0.1").unwrap(), stream).await.unwrap();
        let (read, write) = smol::io::split(stream);
        let read: Box<dyn AsyncRead + Unpin> = Box::new(read);
        Peer { frames: Frames::new(read, Direction::Downward), write: Box::new(write), decoder: Decoder::default() }
    }

    /// A hub of a tenant, registered.
    pub(crate) async fn hub(&self, tenant: &str, instance: Instance, durable: u64) -> Peer {
        let mut peer = self.peer().await;
        peer.register(Some(tenant), Some(instance)).await;
        let ack = peer.ack().await;
        assert_eq!((ack.status, ack.batch.unwrap_or_default()), (AckStatus::Ok, BatchSeq(durable)));
        assert_eq!(ack.config.map(|config| config.heartbeat_interval), Some(7), "as the settings say");
        peer
    }
}

/// A hub's end of a connection, spoken by hand.
pub(crate) struct Peer {
    frames: Frames<Box<dyn AsyncRead + Unpin>>,
    write: Box<dyn AsyncWrite + Unpin>,
    decoder: Decoder,
}

impl Peer {
    pub(crate) async fn send(&mut self, message: Message) {
        let frame = message.to_frame(Stamp::utc(START_MS)).unwrap();
        self.write.write_all(&frame).await.unwrap();
        self.write.flush().await.unwrap();
    }

    pub(crate) async fn send_bytes(&mut self, payload: &[u8]) {
        self.write.write_all(&(payload.len() as u32).to_be_bytes()).await.unwrap();
        self.write.write_all(payload).await.unwrap();
        self.write.flush().await.unwrap();
    }

    pub(crate) async fn send_batch(&mut self, number: u64, events: &[Event]) {
        self.send_batch_after(number, &[], events).await;
    }

    /// A batch in front of which others will never come.
    pub(crate) async fn send_batch_after(&mut self, number: u64, skipped: &[Skipped], events: &[Event]) {
        let mut builder = BatchBuilder::default();
        for event in events {
            builder.push_group(std::slice::from_ref(event)).unwrap();
        }
        let frame = batch_frame(BatchSeq(number), Stamp::utc(START_MS), skipped, &builder.finish().1).unwrap();
        self.write.write_all(&frame).await.unwrap();
        self.write.flush().await.unwrap();
    }

    pub(crate) async fn register(&mut self, token: Option<&str>, instance: Option<Instance>) {
        let register = Register {
            client_version: "test".into(),
            hostname: "hub".into(),
            os: "Linux".into(),
            protocol: Some(1),
            token: token.map(Into::into),
            instance,
            next: Some(BatchSeq(1)),
            ..Register::default()
        };
        self.send(Message::Register(register)).await;
    }

    /// The next message; none when the server closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let late = async {
            clock::pause(PATIENCE_MS).await;
            panic!("nothing came");
        };
        let payload = smol::future::or(self.frames.next(), late).await.ok()??;
        Some(message::read(&mut self.decoder, &payload, Stamp::utc(START_MS)).unwrap())
    }

    pub(crate) async fn ack(&mut self) -> Ack {
        match self.next().await {
            Some(Message::Ack(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    /// The next RESULTS, whatever ACK comes before.
    pub(crate) async fn results(&mut self) -> Results {
        loop {
            match self.next().await.expect("the connection lives") {
                Message::Results(results) => return results,
                Message::Ack(ack) => assert_eq!(ack.status, AckStatus::Ok),
                other => panic!("{other:?}"),
            }
        }
    }
}
