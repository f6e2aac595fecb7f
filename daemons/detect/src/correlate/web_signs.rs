//! What a request to a web server is by what it asks for: an exploit, a door that scanners try, a scanner's own name.
//!
//! All patterns are looked for in one pass over the beginning of the path, in lower case with percent escapes undone
//! once, and of the user agent. The names of the weaknesses are those of the CVE list.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use nms_proto::extraction::Outcome;

/// Bytes of a path, and of a user agent, that are looked at.
const PATH_BYTES: usize = 512;

/// Exploits' patterns, with what each tries.
const EXPLOITS: [(&str, &[&str]); 35] = [
    (
        "path traversal",
        &[
            "../..",
            "..\\..",
            "/..;/",
            "/%2e%2e",
            "/etc/passwd",
            "/etc/shadow",
            "/proc/self/",
            "win.ini",
            "/web-inf/",
            "/meta-inf/",
        ],
    ),
    ("file inclusion", &["php://", "=http://", "=https://", "data://text", "expect://"]),
    (
        "SQL injection",
        &[
            "union select",
            "union all select",
            "' or '",
            "' or 1=1",
            " or 1=1",
            "sleep(",
            "benchmark(",
            "waitfor delay",
            "information_schema",
            "extractvalue(",
            "xp_cmdshell",
            "'--",
            "order by 1--",
        ],
    ),
    ("cross-site scripting", &["<script", "javascript:", "onerror=", "onload=", "<svg"]),
    ("Log4Shell (CVE-2021-44228)", &["${jndi:", "${lower:", "${::-", "${env:"]),
    ("Text4Shell (CVE-2022-42889)", &["${script:", "${url:", "${dns:"]),
    ("Shellshock (CVE-2014-6271)", &["() {"]),
    (
        "command injection",
        &[
            "/bin/sh",
            "/bin/bash",
            ";wget ",
            ";curl ",
            "|wget ",
            "`wget ",
            "cmd.exe",
            "allow_url_include",
            "invokefunction",
            "\\think\\",
            "/vendor/phpunit/",
            "/shell?",
            "login=$(",
            "/cgi-bin/;",
            "$(curl",
            "$(wget",
            "`id`",
            ";id;",
            "auto_prepend_file",
        ],
    ),
    ("OGNL injection", &["@java.lang.runtime", "getruntime(", "ognlcontext", "@org.apache", "%{(#", "${(#"]),
    ("Spring4Shell (CVE-2022-22965)", &["class.module.classloader"]),
    ("Spring Cloud Function (CVE-2022-22963)", &["/functionrouter"]),
    ("Telerik UI (CVE-2019-18935)", &["telerik.web.ui.webresource.axd"]),
    ("GLPI htmLawed (CVE-2022-35914)", &["htmlawedtest.php"]),
    ("FortiOS (CVE-2022-40684, CVE-2018-13379)", &["/api/v2/cmdb/system/admin", "/remote/fgt_lang"]),
    ("Cacti (CVE-2022-46169)", &["remote_agent.php?action=polldata"]),
    (
        "Confluence (CVE-2023-22515, CVE-2023-22518)",
        &["/setup/setupadministrator.action", "setup-restore.action", "bootstrapstatusprovider"],
    ),
    (
        "PAN-OS (CVE-2024-0012, CVE-2024-9474, CVE-2025-0108)",
        &["/.js.map", "createremoteappwebsession.php", "ztp_gate.php"],
    ),
    ("ownCloud (CVE-2023-49103)", &["getphpinfo.php"]),
    ("Zimbra (CVE-2022-37042)", &["/mboximport"]),
    ("Exchange (CVE-2021-34473)", &["/autodiscover.json?@", "/ecp/current/exporttool"]),
    ("BIG-IP (CVE-2022-1388)", &["/mgmt/tm/util/bash"]),
    ("Citrix ADC (CVE-2019-19781)", &["/vpns/"]),
    ("Laravel Ignition (CVE-2021-3129)", &["/_ignition/execute-solution"]),
    ("WebLogic (CVE-2017-10271, CVE-2020-14882)", &["/wls-wsat/", "/console/css/"]),
    ("Liferay (CVE-2020-7961)", &["/api/jsonws/invoke"]),
    ("JBoss (CVE-2017-12149)", &["/invoker/jmxinvokerservlet", "/invoker/readonly"]),
    ("vCenter (CVE-2021-21972)", &["/vropspluginui/rest/"]),
    ("MOVEit (CVE-2023-34362)", &["/moveitisapi"]),
    ("ScreenConnect (CVE-2024-1709)", &["/setupwizard.aspx/"]),
    ("Ivanti (CVE-2023-46805)", &["/totp/user-backup-code"]),
    ("Workspace ONE (CVE-2022-22954)", &["/catalog-portal/ui/oauth/verify"]),
    (
        "a router's weakness",
        &[
            "/gponform/",
            "/hnap1",
            "/tmunblock.cgi",
            "/goform/",
            "/boaform/",
            "/setup.cgi",
            "/cgi/networkdiag.cgi",
            "/cgi-bin/videoconfiguration.cgi",
            "/currentsetting.htm",
        ],
    ),
    ("Adobe AEM's package manager", &["/crx/packmgr"]),
    ("a scanner's mark", &["w00tw00t", "/core/skin/login.aspx"]),
    ("a back door that others left", &["shell.php", "c99.php", "r57.php", "wso.php", "alfa.php", "/wp-file-manager/"]),
];

/// Doors that scanners try wherever they lead: what lies there is nobody's page.
const HIDDEN: [&str; 19] = [
    "/backup.",
    "/dump.sql",
    ".sql",
    "/id_rsa",
    "/info.php",
    "phpinfo",
    "/?author=",
    "/wp-config",
    "/config.json",
    "/server-status",
    "/actuator/",
    "/telescope/",
    "/_profiler/",
    "/debug/default/view",
    "/containers/json",
    "/sap/bc/",
    "/nwa",
    "/irj/portal",
    "/.env",
];

/// Doors of software that many have: tried by scanners where they are shut.
const COMMON: [&str; 35] = [
    "/wp-login.php",
    "/wp-admin",
    "/wp-content/plugins/",
    "/wp-includes/",
    "/xmlrpc.php",
    "/phpmyadmin",
    "/pma/",
    "/adminer",
    "/admin.php",
    "/administrator",
    "/manager/html",
    "/cgi-bin/",
    "/solr/",
    "/actuator",
    "/telescope",
    "/_ignition",
    "/owa/",
    "/ecp/",
    "/autodiscover",
    "/+cscoe+",
    "/dana-na/",
    "/remote/login",
    "/jmx-console",
    "/script/console",
    "/console/",
    "/admin/",
    "/druid/",
    "/geoserver",
    "/struts",
    "/webui",
    "/sdk/",
    "/druid",
    "/v2/_catalog",
    "/api/v1/pods",
    "/login.cgi",
];

/// What tools that look for weak spots call themselves.
const TOOLS: [&str; 27] = [
    "nikto",
    "sqlmap",
    "nmap scripting engine",
    "masscan",
    "zgrab",
    "nuclei",
    "gobuster",
    "dirbuster",
    "wpscan",
    "acunetix",
    "nessus",
    "openvas",
    "w3af",
    "havij",
    "arachni",
    "jorgee",
    "whatweb",
    "fuzz faster",
    "feroxbuster",
    "l9explore",
    "l9tcpid",
    "netsparker",
    "zmeu",
    "morfeus",
    "muieblackcat",
    "commix",
    "dirsearch",
];

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An exploit, and what it tries.
    Exploit(&'static str),
    /// A tool that looks for weak spots, by its name.
    Tool(&'static str),
    /// A post to a login page.
    Login,
    /// A page that asks for a name, and got none.
    Unnamed,
    /// A door.
    Door,
    /// A page that is not there.
    Missing,
}

/// The patterns, ready to be looked for.
#[derive(Debug)]
pub(super) struct Signs {
    /// What each pattern means, by its number; worse ones first.
    kinds: Vec<Sign>,
    paths: Option<AhoCorasick>,
    agents: Option<AhoCorasick>,
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    Exploit(&'static str),
    Hidden,
    Common,
}

impl Signs {
    pub(super) fn new() -> Self {
        let exploits = EXPLOITS
            .iter()
            .flat_map(|(tries, patterns)| patterns.iter().map(move |pattern| (*pattern, Sign::Exploit(tries))));
        let doors =
            HIDDEN.iter().map(|door| (*door, Sign::Hidden)).chain(COMMON.iter().map(|door| (*door, Sign::Common)));
        let (patterns, kinds): (Vec<&str>, Vec<Sign>) = exploits.chain(doors).unzip();
        Self { kinds, paths: automaton(&patterns), agents: automaton(&TOOLS) }
    }

    /// What a request is; nothing where it is as most are.
    pub(super) fn kind_of(&self, path: &str, agent: &str, outcome: Outcome) -> Option<Kind> {
        let mut buffer = [0; PATH_BYTES];
        let plain = plain(path, &mut buffer);
        let found = first(self.paths.as_ref(), plain).and_then(|number| self.kinds.get(number).copied());
        if let Some(Sign::Exploit(tries)) = found {
            return Some(Kind::Exploit(tries));
        }
        if plain.starts_with(b"http://") || plain.starts_with(b"https://") {
            return Some(Kind::Exploit("use as an open proxy"));
        }
        let mut buffer = [0; PATH_BYTES];
        let agent = self::plain(agent, &mut buffer);
        if let Some(Sign::Exploit(tries)) = (agent.contains(&b'$') || agent.starts_with(b"()"))
            .then(|| first(self.paths.as_ref(), agent).and_then(|number| self.kinds.get(number).copied()))
            .flatten()
        {
            return Some(Kind::Exploit(tries));
        }
        if let Some(tool) = first(self.agents.as_ref(), agent).and_then(|number| TOOLS.get(number)) {
            return Some(Kind::Tool(tool));
        }
        match found {
            Some(Sign::Hidden) => return Some(Kind::Door),
            Some(Sign::Common) if outcome == Outcome::Failed => return Some(Kind::Door),
            _ if is_hidden(plain) => return Some(Kind::Door),
            _ => {}
        }
        (outcome == Outcome::Failed).then_some(Kind::Missing)
    }
}

/// The patterns are our own and few, so they always compile; a test holds that.
fn automaton(patterns: &[&str]) -> Option<AhoCorasick> {
    AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(patterns).ok()
}

/// The least number of the patterns that are in `text`.
fn first(automaton: Option<&AhoCorasick>, text: &[u8]) -> Option<usize> {
    automaton?.find_overlapping_iter(text).map(|found| found.pattern().as_usize()).min()
}

/// A name that begins with a dot, but for what is meant to be asked for.
fn is_hidden(path: &[u8]) -> bool {
    let parts = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default().split(|byte| *byte == b'/');
    parts.into_iter().any(|part| matches!(part, [b'.', second, ..] if *second != b'.') && part != b".well-known")
}

/// The beginning of a text in lower case, `+` as a blank and percent escapes undone once.
fn plain<'buffer>(text: &str, buffer: &'buffer mut [u8; PATH_BYTES]) -> &'buffer [u8] {
    let mut rest = text.as_bytes();
    let mut length = 0;
    while let (Some((&byte, behind)), Some(place)) = (rest.split_first(), buffer.get_mut(length)) {
        let escaped = match behind {
            [high, low, after @ ..] if byte == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        (*place, rest) = match escaped {
            Some((escaped, after)) => (escaped.to_ascii_lowercase(), after),
            None if byte == b'+' => (b' ', behind),
            None => (byte.to_ascii_lowercase(), behind),
        };
        length += 1;
    }
    buffer.get(..length).unwrap_or_default()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
