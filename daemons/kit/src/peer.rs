//! Where a sender's peer is, how it is trusted, and who the sender is to it.

use std::fmt;

use nms_proto::frame::Direction;
use smol::net::unix::UnixStream;

use crate::{
    drive::Wire,
    net::tcp,
    renew::Renewal,
    task::Tasks,
    tls::{self, ServerName, TlsConnector},
};

/// How a peer is reached.
#[derive(Clone)]
pub struct Way {
    /// `host:port`, or the path of a Unix socket.
    pub address: String,
    /// TLS and the name that the peer's certificate must carry; none for plain TCP inside a named network.
    pub tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("address", &self.address).field("tls", &self.tls.is_some()).finish()
    }
}

/// A peer.
#[derive(Debug)]
pub struct Peer {
    /// How it is reached.
    pub way: Way,
    /// The certificate that is shown to it, where there is one.
    pub renewal: Option<Renewal>,
}

impl Way {
    pub(crate) async fn dial(self, tasks: Tasks) -> Result<Wire, String> {
        if self.address.starts_with('/') {
            let stream = UnixStream::connect(&self.address).await.map_err(|error| error.to_string())?;
            return Ok(Wire::over(&tasks, stream, Direction::Downward));
        }
        let stream = tcp::dial(&self.address).await.map_err(|error| error.to_string())?;
        match self.tls {
            None => Ok(Wire::over(&tasks, stream, Direction::Downward)),
            Some((connector, name)) => {
                let stream = connector.connect(name, stream).await.map_err(|error| tls::words(&error))?;
                Ok(Wire::over(&tasks, stream, Direction::Downward))
            }
        }
    }
}
