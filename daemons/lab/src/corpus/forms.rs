//! The form of a row: what programs say, and what it means. The rows themselves stand in `phrases`.
//!
//! Formats as the programs' own sources and manuals publish them. The truth of a row is what an
//! extractor should read out of every one of its phrasings. `{user}`, `{ip}` and so on stand for the
//! parameters of [`super::Params`].

use nms_proto::extraction::{Action, AppFamily, Outcome};

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is described by its row")]
pub enum Kind {
    SshLoginOk,
    SshKeyLoginOk,
    SshLoginFailed,
    SshInvalidUser,
    SshClosed,
    SshGaveUp,
    SshLogout,
    PamOpened,
    PamClosed,
    PamFailed,
    PamSshFailed,
    SudoCommand,
    SudoFailed,
    SudoPassword,
    SuOk,
    SuFailed,
    UserAdded,
    GroupAdded,
    PasswordChanged,
    UserDeleted,
    CronCommand,
    CronEdited,
    ServiceStarted,
    ServiceStopped,
    ServiceFailed,
    KernelNote,
    KernelLink,
    Blocked,
    LeaseGiven,
    LeaseAsked,
    LeaseRefused,
    DhcpdGiven,
    DhcpdAsked,
    NameQuery,
    WebOk,
    WebFailed,
    MailConnection,
    MailSent,
    MailLoginOk,
    MailLoginFailed,
    PackageChanged,
    FileChanged,
    TimeNote,
    ContainerNote,
    DatabaseNote,
    WirelessJoined,
    WirelessLeft,
    VpnConnected,
    VpnClosed,
    VpnFailed,
    // Of applications without an extractor, in the words of their vendor.
    AppLoginOk,
    AppLoginFailed,
    AppLogout,
    AppCommand,
    AppAccount,
    AppService,
    AppServiceFailed,
    AppFile,
    AppProcess,
    AppConnection,
    AppConnectionFailed,
    AppBlock,
    AppLease,
    AppRequest,
    AppRequestFailed,
    AppAlert,
    AppNote,
}

/// Which parameter is the actor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    Nobody,
    Address,
    User,
    Hardware,
}

/// Whose account is aimed at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Nobodys,
    /// The user's, and whether the message says that it exists.
    Users(Option<bool>),
    Root,
}

/// Which parameter is the object.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Nothing,
    Path,
    Program,
    Service,
    Endpoint,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) kind: Kind,
    pub(super) program: &'static str,
    pub(super) meaning: (AppFamily, Action, Outcome),
    pub(super) severity: u8,
    pub(super) actor: Who,
    pub(super) account: Whose,
    pub(super) object: What,
    pub(super) phrases: &'static [&'static str],
}

pub(super) const fn form(
    kind: Kind,
    program: &'static str,
    meaning: (AppFamily, Action, Outcome),
    phrases: &'static [&'static str],
) -> Form {
    Form {
        kind,
        program,
        meaning,
        severity: 6,
        actor: Who::Nobody,
        account: Whose::Nobodys,
        object: What::Nothing,
        phrases,
    }
}

impl Form {
    pub(super) const fn severity(mut self, severity: u8) -> Self {
        self.severity = severity;
        self
    }

    pub(super) const fn by(mut self, actor: Who) -> Self {
        self.actor = actor;
        self
    }

    pub(super) const fn on_account(mut self, exists: Option<bool>) -> Self {
        self.account = Whose::Users(exists);
        self
    }

    pub(super) const fn on_root(mut self) -> Self {
        self.account = Whose::Root;
        self
    }

    pub(super) const fn at(mut self, object: What) -> Self {
        self.object = object;
        self
    }
}
