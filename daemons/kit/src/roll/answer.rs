//! What the command `enroll` is answered, the same at server and hub.

use nms_proto::message::{Ack, Command};

use super::{Refusal, Roll, Watch};

impl Roll {
    /// Issues a certificate for the token of a command that came in place of REGISTER.
    ///
    /// # Errors
    /// As [`Roll::enrol`].
    pub async fn answer_enrol(&self, now_ms: i64, command: &Command) -> Result<Ack, Refusal> {
        let issued =
            self.enrol(now_ms, argument(command, "token"), argument(command, "csr"), argument(command, "host"));
        let issued = issued.await?;
        log::info!("a certificate was issued serial={}", issued.serial);
        let (certificate, ca) = (Some(issued.pem.into()), Some(self.authority.pem().into()));
        Ok(Ack { command_id: Some(command.command_id.clone()), certificate, ca, ..Ack::ok() })
    }

    /// Issues the certificate that follows the one of the connection on which the command came.
    ///
    /// # Errors
    /// As [`Roll::renew`]; there is no certificate on the connection.
    pub async fn answer_renewal(
        &self,
        now_ms: i64,
        watch: Option<&mut Watch>,
        command: &Command,
    ) -> Result<Ack, Refusal> {
        let none = || Refusal::Request("there is no certificate on this connection that could be renewed".into());
        let issued = self.renew(now_ms, watch.ok_or_else(none)?, argument(command, "csr")).await?;
        log::info!("a certificate was renewed serial={}", issued.serial);
        let certificate = Some(issued.pem.into());
        Ok(Ack { command_id: Some(command.command_id.clone()), certificate, ..Ack::ok() })
    }
}

fn argument<'c>(command: &'c Command, name: &str) -> &'c str {
    command.arguments.get(name).map_or("", |value| value)
}
