//! Windows' security events, as Snare, `NXLog`, Winlogbeat and other collectors send them.
//!
//! The number says what happened; who and from where stands in named members (JSON, `key="value"`, the structured
//! data of the message) or under headings of the rendered text. A heading's account may hold anything, so the address
//! is taken from the last heading that names one, which Windows writes after all names.

use nms_proto::{
    event::Syslog,
    extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome},
};

use super::{
    build::{Build as _, of},
    json::members,
};
use crate::text::{address, after, holds_any, is_number, name, pairs, word};

const FAMILY: AppFamily = AppFamily::Winlogon;

/// What an event says of itself.
#[derive(Default)]
struct Said<'a> {
    id: u32,
    target: Option<&'a str>,
    subject: Option<&'a str>,
    ip: Option<&'a str>,
    workstation: Option<&'a str>,
    status: &'a str,
    /// Service, task, group, process or share.
    object: Option<&'a str>,
    to: Option<&'a str>,
    port: Option<u16>,
    member: Option<&'a str>,
    /// The group's security identifier, where the target is a group.
    group: Option<&'a str>,
    command: Option<&'a str>,
    parent: Option<&'a str>,
    /// The security identifier of whoever did it.
    subject_id: Option<&'a str>,
    /// Sysmon has numbers of its own.
    sysmon: bool,
}

/// Whether a text without a known application is such an event.
pub(super) fn recognises(text: &str) -> bool {
    text.starts_with("MSWinEventLog") || is_xml(text) || is_json(text) && says_so(text)
}

fn is_xml(text: &str) -> bool {
    text.starts_with("<Event ") && text.contains("<EventID")
}

/// Whether a text is a JSON object, which one word may introduce.
fn is_json(text: &str) -> bool {
    text.split_once('{')
        .is_some_and(|(head, _tail)| !head.trim_ascii_end().contains(|c: char| c == '"' || c.is_ascii_whitespace()))
}

/// Whether a JSON text has a number and names its log in members of its own; what a value holds does not count.
fn says_so(text: &str) -> bool {
    let (mut numbered, mut named) = (false, false);
    for member in members(text).filter(|member| PARENTS.contains(&member.parent)) {
        numbered |= matches!(member.name, "EventID" | "event_id") || member.name == "code" && member.parent == "event";
        named |= member.parent == "winlog"
            || matches!(member.name, "Channel" | "channel" | "Provider" | "ProviderName" | "SourceName");
    }
    numbered && named
}

/// The objects of a JSON text whose members say something of an event.
const PARENTS: [&str; 5] = ["", "winlog", "event_data", "event", "EventData"];

/// An event as the correlators read it: beside what is in its extraction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Its number.
    pub(crate) id: u32,
    /// Whether the number is one of Sysmon's own.
    pub(crate) sysmon: bool,
    /// Who did it.
    pub(crate) subject: Option<&'a str>,
    /// That one's security identifier.
    pub(crate) subject_id: Option<&'a str>,
    /// The account or the group it was done to.
    pub(crate) target: Option<&'a str>,
    /// The member, where the target is a group.
    pub(crate) member: Option<&'a str>,
    /// The group's security identifier.
    pub(crate) group: Option<&'a str>,
    /// The program, service or task.
    pub(crate) object: Option<&'a str>,
    /// Its command line.
    pub(crate) command: Option<&'a str>,
    /// The program that started it.
    pub(crate) parent: Option<&'a str>,
}

/// The event of a line that `extract` read as one of Windows'.
pub(crate) fn record(line: &Syslog) -> Record<'_> {
    let data = line.structured_data.as_deref().filter(|data| data.contains("EventID="));
    let said = said(line.app.as_deref().unwrap_or_default(), line.message.trim_ascii(), data);
    let Said { id, sysmon, subject, subject_id, target, member, group, object, command, parent, .. } = said;
    Record { id, sysmon, subject, subject_id, target, member, group, object, command, parent }
}

/// An event in the text of a line, or in its structured data.
pub(super) fn winlogon<'a>(app: &str, text: &'a str, data: Option<&'a str>) -> Extraction<'a> {
    said(app, text, data).judge().unwrap_or(Extraction::unknown(FAMILY))
}

fn said<'a>(app: &str, text: &'a str, data: Option<&'a str>) -> Said<'a> {
    match data.filter(|data| data.contains("EventID=")) {
        Some(data) => of_pairs(data),
        None if is_json(text) => of_json(text),
        None if is_xml(text) => of_xml(text),
        None if text.contains("EventID=") && word(text).0.contains('=') => of_pairs(text),
        None => of_text(app, text),
    }
}

impl<'a> Said<'a> {
    fn take(&mut self, key: &str, value: &'a str) {
        let value = Some(value).filter(|value| !matches!(*value, "" | "-"));
        let place = match key {
            "EventID" | "event_id" | "code" => {
                // Windows writes the number before all names.
                if self.id == 0 {
                    self.id = value.and_then(|value| value.parse().ok()).unwrap_or(0);
                }
                return;
            }
            "Status" | "SubStatus" | "FailureCode" | "ErrorCode" | "Result" => {
                // The sub-status says more, where there is one.
                if let Some(value) = value.filter(|value| *value != "0x0" || self.status.is_empty()) {
                    self.status = value;
                }
                return;
            }
            "DestPort" | "DestinationPort" => {
                self.port = value.and_then(|value| value.parse().ok());
                return;
            }
            "TargetUserName" | "AccountName" | "LogonAccount" | "user" | "User" => &mut self.target,
            "SubjectUserName" => &mut self.subject,
            "SubjectUserSid" => &mut self.subject_id,
            "IpAddress" | "ClientAddress" | "SourceAddress" | "SourceNetworkAddress" => &mut self.ip,
            "WorkstationName" | "Workstation" | "CallerComputerName" => &mut self.workstation,
            "DestAddress" | "DestinationIp" => &mut self.to,
            "MemberName" => &mut self.member,
            "TargetSid" => &mut self.group,
            "CommandLine" => &mut self.command,
            "ParentProcessName" | "ParentImage" => &mut self.parent,
            "ServiceName" | "NewProcessName" | "TaskName" | "ShareName" | "ObjectName" | "Image" | "TargetFilename" => {
                &mut self.object
            }
            _ => return,
        };
        if value.is_some() {
            *place = value;
        }
    }

    fn judge(self) -> Option<Extraction<'a>> {
        let actor = self.ip.and_then(address).map(Actor::Address);
        let actor = actor.or_else(|| self.workstation.and_then(name));
        let failed = !matches!(self.status, "" | "0x0" | "0");
        let by_status = if failed { Outcome::Failed } else { Outcome::Ok };
        let (account, subject) = (self.target.or(self.subject), self.subject.and_then(name));
        let with = |action, outcome| {
            let found = of(FAMILY, action, outcome).maybe_by(actor);
            account.map_or(found, |account| found.account(account))
        };
        let change = |action| {
            let found = Extraction { actor: subject, ..with(action, Outcome::Ok) };
            self.object.map_or(found, |object| found.object(Object::Service(object)))
        };
        if self.sysmon {
            let (action, outcome) = match self.id {
                1 => (Action::Process, Outcome::Ok),
                3 => (Action::Connection, Outcome::Ok),
                11..=15 | 17 | 18 | 23 | 26 => (Action::File, Outcome::Ok),
                4 | 16 => (Action::Service, Outcome::Ok),
                22 => (Action::Request, Outcome::None),
                _ => (Action::Process, Outcome::None),
            };
            let found = of(FAMILY, action, outcome).maybe_by(account.and_then(name));
            return Some(match self.object {
                _ if self.id == 3 => self.towards(found),
                Some(object) => found.object(Object::Program(object)),
                None => found,
            });
        }
        Some(match self.id {
            4624 | 528 | 540 | 4778 | 1149 => with(Action::Login, Outcome::Ok),
            4625 | 529..=537 | 539 | 4825 => self.known(with(Action::Login, Outcome::Failed)),
            4768 | 4771 | 672 | 675 => self.known(with(Action::Login, by_status)),
            // A member server tells of the same attempt, with the address.
            4776 | 680 => self.known(with(Action::Login, by_status).companion()),
            4769 | 4770 => with(Action::Request, by_status),
            4634 | 4647 | 4779 | 538 | 551 => with(Action::Logout, Outcome::Ok),
            4648 | 4672 => with(Action::Login, Outcome::None),
            4688 | 592 => {
                let found = of(FAMILY, Action::Process, Outcome::Ok).maybe_by(subject);
                self.object.map_or(found, |program| found.object(Object::Program(program)))
            }
            4689 => of(FAMILY, Action::Process, Outcome::None).maybe_by(subject),
            4697 | 7045 | 4698..=4702 | 7040 => change(Action::Service),
            7031 | 7034 | 7000 | 7009 => Extraction { outcome: Outcome::Failed, ..change(Action::Service) },
            4740 | 644 => with(Action::Block, Outcome::Failed),
            4720..=4735 | 4737 | 4738 | 4741..=4743 | 4754..=4758 | 4767 | 4781 | 624..=642 => change(Action::Account),
            4719 | 4739 | 4946..=4948 | 4950 => of(FAMILY, Action::Command, Outcome::Ok).maybe_by(subject),
            // A log was cleared.
            1102 | 104 | 517 => of(FAMILY, Action::File, Outcome::Ok).maybe_by(subject),
            4656 | 4657 | 4660 | 4663 | 4670 | 5140 | 5145 => {
                let found = of(FAMILY, Action::File, Outcome::None).maybe_by(actor.or(subject));
                self.object.map_or(found, |path| found.object(Object::Path(path)))
            }
            5152 | 5157 => self.towards(with(Action::Block, Outcome::Failed)),
            5156 | 5158 => self.towards(with(Action::Connection, Outcome::Ok)),
            _ => return None,
        })
    }

    fn towards(&self, found: Extraction<'a>) -> Extraction<'a> {
        self.to.and_then(address).map_or(found, |to| found.towards(to, self.port))
    }

    /// The status says whether the account exists: 0xC0000064 and Kerberos' 6 do not know it.
    fn known(&self, found: Extraction<'a>) -> Extraction<'a> {
        let is = |codes: &[&str]| codes.iter().any(|code| self.status.eq_ignore_ascii_case(code));
        if is(&["0xC0000064", "0x6"]) {
            found.exists(false)
        } else if is(&["0xC000006A", "0xC0000234", "0xC0000072", "0xC0000071", "0x18", "0x12", "0x17"]) {
            found.exists(true)
        } else {
            found
        }
    }
}

fn of_json(text: &str) -> Said<'_> {
    let mut said = Said::default();
    for member in members(text).filter(|member| PARENTS.contains(&member.parent)) {
        // `event.code` is Winlogbeat's; elsewhere a code is something else.
        if member.name != "code" || member.parent == "event" {
            said.take(member.name, member.value);
        }
    }
    said
}

/// `<EventID>4625</EventID> ... <Data Name="TargetUserName">bob</Data>`; what is inside a value has its brackets escaped.
fn of_xml(text: &str) -> Said<'_> {
    let mut said = Said::default();
    let mut rest = text;
    while let Some((_head, tail)) = rest.split_once('<') {
        let Some((tag, behind)) = tail.split_once('>') else { break };
        let value = behind.split('<').next().unwrap_or_default();
        if tag.starts_with("EventID") {
            said.take("EventID", value);
        } else if let Some(tag) = tag.strip_prefix("Data Name=") {
            said.take(tag.trim_matches(['"', '\'']), value);
        } else if tag.starts_with("Provider ") && tag.contains("Sysmon") {
            said.sysmon = true;
        }
        rest = behind;
    }
    said
}

fn of_pairs(text: &str) -> Said<'_> {
    let mut said = Said::default();
    for (key, value) in pairs(text) {
        said.take(key, value);
    }
    said
}

/// The rendered text, with the number somewhere before it.
fn of_text<'a>(app: &str, text: &'a str) -> Said<'a> {
    let id = number(text).or_else(|| app.rsplit(['_', '-']).next().and_then(|tail| tail.parse().ok()));
    let id = id.or_else(|| of_sentence(text));
    let mut said = Said { id: id.unwrap_or(0), ..Said::default() };
    // The address is Windows' last word; what stands before it was chosen by whoever logged in.
    let ip = ["Source Network Address:", "Client Address:", "Source Address:"];
    let last = ip.iter().filter_map(|label| text.rfind(label).map(|at| at + label.len())).max();
    said.ip = last.and_then(|at| text.get(at..)).map(value);
    let first =
        |labels: &[&str]| labels.iter().find_map(|label| after(text, label)).map(value).filter(|value| *value != "-");
    said.workstation = first(&["Workstation Name:", "Source Workstation:", "Caller Computer Name:"]);
    said.to = first(&["Destination Address:"]);
    said.port = first(&["Destination Port:"]).and_then(|port| port.parse().ok());
    said.status = first(&["Sub Status:", "Failure Code:", "Result Code:", "Error Code:"])
        .filter(|status| *status != "0x0")
        .unwrap_or_default();
    if said.status.is_empty() {
        said.status = first(&["Status:"]).unwrap_or_default();
    }
    let group = if text.contains("Member:") || text.contains("Group:") { first(&["Group Name:"]) } else { None };
    said.object =
        group.or_else(|| first(&["New Process Name:", "Service Name:", "Task Name:", "Share Name:", "Object Name:"]));
    let sections = [
        "Account For Which Logon Failed:",
        "Account Whose Credentials Were Used:",
        "Account That Was Locked Out:",
        "New Logon:",
        "New Account:",
        "Target Account:",
        "Member:",
        "Account Information:",
    ];
    let named = |text: &'a str| after(text, "Account Name:").map(value).filter(|value| *value != "-");
    said.subject = after(text, "Subject:").and_then(named);
    said.subject_id = after(text, "Subject:").and_then(|tail| after(tail, "Security ID:")).map(value);
    said.member = after(text, "Member:").and_then(named);
    said.group = after(text, "Group:").map(|tail| after(tail, "Security ID:").map_or("", value));
    said.command = first(&["Process Command Line:", "CommandLine:"]);
    said.parent = first(&["Creator Process Name:", "ParentImage:"]);
    said.target = sections.iter().find_map(|section| after(text, section)).and_then(named);
    said.target = said
        .target
        .or_else(|| first(&["Logon Account:", "User Name:", "User:"]))
        .or(said.subject)
        .or_else(|| named(text));
    said
}

/// How events begin that come without their number.
const SENTENCES: [(&str, u32); 22] = [
    ("An account was successfully logged on", 4624),
    ("An account failed to log on", 4625),
    ("An account was logged off", 4634),
    ("User initiated logoff", 4647),
    ("A logon was attempted using explicit credentials", 4648),
    ("Special privileges assigned to new logon", 4672),
    ("A new process has been created", 4688),
    ("A service was installed in the system", 4697),
    ("A scheduled task was created", 4698),
    ("System audit policy was changed", 4719),
    ("A user account was created", 4720),
    ("A user account was enabled", 4722),
    ("An attempt was made to reset an account's password", 4724),
    ("A user account was deleted", 4726),
    ("A member was added to a security-enabled global group", 4728),
    ("A member was added to a security-enabled local group", 4732),
    ("A user account was changed", 4738),
    ("A user account was locked out", 4740),
    ("A Kerberos authentication ticket (TGT) was requested", 4768),
    ("Kerberos pre-authentication failed", 4771),
    ("The computer attempted to validate the credentials for an account", 4776),
    ("The audit log was cleared", 1102),
];

fn of_sentence(text: &str) -> Option<u32> {
    // `The System log file was cleared.`, its number before it or not.
    let sentence = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | ' '));
    if sentence
        .strip_prefix("The ")
        .and_then(|tail| after(tail, " "))
        .is_some_and(|tail| tail.starts_with("log file was cleared"))
    {
        return Some(104);
    }
    SENTENCES.iter().find(|(begin, _id)| text.starts_with(begin)).map(|(_begin, id)| *id)
}

/// The event's number: a field of three to five digits before the text begins.
fn number(text: &str) -> Option<u32> {
    let fits = |token: &&str| matches!(token.len(), 3..=5) && is_number(token);
    if let Some((_head, tail)) = text.split_once("Security_").or_else(|| text.split_once("Event ID:")) {
        return tail.trim_ascii_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    }
    let mut tokens = text.split([' ', '\t', ':', '(', ')', '[', ']', ',', '|', '#']).filter(fits).take(8);
    tokens.find_map(|token| token.parse().ok().filter(|id| is_known(*id)))
}

fn is_known(id: u32) -> bool {
    matches!(id, 4608..=5160 | 1102 | 1149 | 7000..=7045 | 528..=540 | 592 | 624..=644 | 672..=680)
}

/// The value behind a heading: to the next tab, line end or double space; one word where all white space is single.
fn value(tail: &str) -> &str {
    let tail = tail.trim_ascii_start().trim_start_matches("#011").trim_ascii_start();
    let end = ["  ", "\t", "\r", "\n", "#011"].iter().filter_map(|end| tail.find(end)).min().unwrap_or(tail.len());
    let whole = tail.get(..end).unwrap_or_default().trim_ascii();
    if holds_any(whole, &[": ", ":\t"]) { whole.split(' ').next().unwrap_or_default() } else { whole }
}
