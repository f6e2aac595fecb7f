//! What products other than the usual ones say in place of a row of `phrases`: routers, web servers and desktops of other
//! makes. A host has one product; a row of its product stands for the row of the same kind.

use nms_proto::extraction::{Action as A, AppFamily as F, Outcome as O};

use super::forms::{Form, Kind, What, Who, form};

/// Products of routers.
pub(super) const ROUTERS: [&str; 7] = ["linux", "linux", "pf", "asa", "ios", "fortigate", "mikrotik"];
/// Products of web servers.
pub(super) const WEB_SERVERS: [&str; 2] = ["nginx", "apache"];
/// Products of desks.
pub(super) const DESKS: [&str; 3] = ["linux", "linux", "windows"];

/// The row of a product for a kind of message.
pub(super) fn row(product: &str, kind: Kind) -> Option<&'static Form> {
    ROWS.iter().find(|(of, form)| *of == product && form.kind == kind).map(|(_, form)| form)
}

const ROWS: &[(&str, Form)] = &[
    ("pf", form(Kind::Blocked, "filterlog", (F::Pf, A::Block, O::Failed), &[
        "5,,,1000000103,igb0,match,block,in,4,0x0,,64,{number},0,DF,6,tcp,60,{ip},{peer},{number},{port},0,S,{number},,64240,,mss;sackOK;TS",
        "4,,,1000000103,igb1,match,block,out,4,0x0,,128,{number},0,none,17,udp,48,{ip},{peer},{number},{port},28",
    ]).by(Who::Address).at(What::Endpoint)),
    ("asa", form(Kind::Blocked, "%ASA-4-106023", (F::Asa, A::Block, O::Failed), &[
        "Deny tcp src outside:{ip}/{number} dst inside:{peer}/{port} by access-group \"outside_in\" [0x0, 0x0]",
        "Deny udp src inside:{ip}/{number} dst outside:{peer}/{port} by access-group \"inside_out\" [0x5063b82f, 0x0]",
    ]).severity(4).by(Who::Address).at(What::Endpoint)),
    ("ios", form(Kind::Blocked, "%SEC-6-IPACCESSLOGP", (F::Ios, A::Block, O::Failed), &[
        "list 101 denied tcp {ip}({number}) -> {peer}({port}), 1 packet",
        "list outside-in denied udp {ip}({number}) -> {peer}({port}), {digit} packets",
    ]).by(Who::Address).at(What::Endpoint)),
    ("fortigate", form(Kind::Blocked, "", (F::Fortigate, A::Block, O::Failed), &[
        "date=2026-01-05 time=10:11:12 devname=\"fw\" devid=\"FG100F\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip={ip} srcport={number} srcintf=\"lan\" dstip={peer} dstport={port} dstintf=\"wan1\" proto=6 action=\"deny\" policyid=0 service=\"tcp/{port}\" sentbyte=0 rcvdbyte=0",
    ]).severity(5).by(Who::Address).at(What::Endpoint)),
    ("mikrotik", form(Kind::Blocked, "firewall,info", (F::Mikrotik, A::Block, O::Failed), &[
        "drop forward: in:bridge out:ether1, connection-state:new src-mac {mac}, proto TCP (SYN), {ip}:{number}->{peer}:{port}, len 60",
        "drop input: in:ether1 out:(unknown 0), connection-state:new proto TCP (SYN), {ip}:{number}->{peer}:{port}, len 44",
    ]).by(Who::Address).at(What::Endpoint)),
    ("mikrotik", form(Kind::LeaseGiven, "dhcp,info", (F::Mikrotik, A::Lease, O::Ok), &[
        "dhcp1 assigned {ip} to {mac}",
        "dhcp1 assigned {ip} for {mac} {host}",
    ]).by(Who::Hardware)),
    ("apache", form(Kind::WebOk, "apache2", (F::Apache, A::Request, O::Ok), &[
        "{ip} - - [{clf}] \"GET {path} HTTP/1.1\" 200 {number} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
        "{ip} - - [{clf}] \"POST {path} HTTP/1.1\" 302 {number} \"-\" \"Mozilla/5.0\"",
    ]).by(Who::Address).at(What::Path)),
    ("apache", form(Kind::WebFailed, "apache2", (F::Apache, A::Request, O::Failed), &[
        "{ip} - - [{clf}] \"GET {path} HTTP/1.1\" 404 {number} \"-\" \"Mozilla/5.0\"",
        "{ip} - - [{clf}] \"POST {path} HTTP/1.1\" 403 {number} \"-\" \"python-requests/2.31\"",
    ]).by(Who::Address).at(What::Path)),
    ("windows", form(Kind::PamOpened, "Microsoft-Windows-Security-Auditing", (F::Winlogon, A::Login, O::Ok), &[
        "EventID=4624 An account was successfully logged on. LogonType=2 TargetUserName={user} TargetDomainName=OFFICE IpAddress={ip} IpPort={port}",
    ]).by(Who::Address).on_account(Some(true))),
    ("windows", form(Kind::PamFailed, "Microsoft-Windows-Security-Auditing", (F::Winlogon, A::Login, O::Failed), &[
        "EventID=4625 An account failed to log on. LogonType=2 TargetUserName={user} TargetDomainName=OFFICE Status=0xc000006d SubStatus=0xc000006a IpAddress={ip} IpPort={port}",
    ]).severity(5).by(Who::Address).on_account(None)),
    ("windows", form(Kind::PamClosed, "Microsoft-Windows-Security-Auditing", (F::Winlogon, A::Logout, O::Ok), &[
        "EventID=4634 An account was logged off. LogonType=2 TargetUserName={user} TargetDomainName=OFFICE",
        "EventID=4647 User initiated logoff. TargetUserName={user} TargetDomainName=OFFICE",
    ]).on_account(None)),
];
