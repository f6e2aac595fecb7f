//! What the command `enroll` is answered, the same at server and hub.

use std::sync::Arc;

use nms_proto::message::{Ack, Command};

use super::{Refusal, Roll, Watch};

impl Roll {
    /// Issues a certificate for the token of a command that came in place of REGISTER. The account is read and the
    /// request signed apart from the task that asks.
    ///
    /// # Errors
    /// As [`Roll::enrol`].
    pub async fn answer_enrol(self: &Arc<Self>, now_ms: i64, command: &Command) -> Result<Ack, Refusal> {
        let roll = Arc::clone(self);
        let [token, csr, host] = ["token", "csr", "host"].map(|name| argument(command, name).to_owned());
        let issued = smol::unblock(move || smol::block_on(roll.enrol(now_ms, &token, &csr, &host))).await?;
        log::info!("a certificate was issued serial={}", issued.serial);
        let (certificate, ca) = (Some(issued.pem.into()), Some(self.authority.pem().into()));
        Ok(Ack { command_id: Some(command.command_id.clone()), certificate, ca, ..Ack::ok() })
    }

    /// Issues the certificate that follows the one of the connection on which the command came.
    ///
    /// # Errors
    /// As [`Roll::renew`]; there is no certificate on the connection.
    pub async fn answer_renewal(
        self: &Arc<Self>,
        now_ms: i64,
        watch: Option<&mut Watch>,
        command: &Command,
    ) -> Result<Ack, Refusal> {
        let none = || Refusal::Request("there is no certificate on this connection that could be renewed".into());
        let watch = watch.ok_or_else(none)?;
        let (roll, serial, csr) = (Arc::clone(self), watch.serial(), argument(command, "csr").to_owned());
        let issued = smol::unblock(move || smol::block_on(roll.follow(now_ms, serial, &csr))).await?;
        watch.renewed(&issued);
        log::info!("a certificate was renewed serial={}", issued.serial);
        let certificate = Some(issued.pem.into());
        Ok(Ack { command_id: Some(command.command_id.clone()), certificate, ..Ack::ok() })
    }
}

fn argument<'c>(command: &'c Command, name: &str) -> &'c str {
    command.arguments.get(name).map_or("", |value| value)
}
