//! What a request to a web server is by what it asks for: an exploit, a door that scanners try, a scanner's own name.
//!
//! All patterns are looked for in one pass over the path, in lower case with percent escapes undone twice, and what
//! begins like a substitution over the whole line. The names of the weaknesses are those of the CVE list.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use nms_proto::extraction::Outcome;

/// Bytes of a text that are looked at; of a longer one the first half of them and the last.
const TEXT_BYTES: usize = 4_096;

/// What an address as the value of a script's parameter tries.
const ADDRESS_AS_VALUE: &str = "inclusion of a file from elsewhere";
/// Who asks a repository for many things that are not there, as a matter of course.
const REPOSITORY_CLIENTS: [&str; 8] =
    ["apache-maven", "gradle", "go-http-client", "npm/", "pip/", "cargo", "debian apt", "nexus"];
/// Names that desktops and sites of source code ask for or show, though they begin with a dot.
const USUAL_HIDDEN: [&str; 9] = [
    ".well-known",
    ".ds_store",
    "._",
    ".hidden",
    ".trashes",
    ".metadata_never_index",
    ".gitignore",
    ".github",
    ".editorconfig",
];
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
    (ADDRESS_AS_VALUE, &["=http://", "=https://"]),
    ("file inclusion", &["php://", "data://text", "expect://"]),
    (
        "SQL injection",
        &[
            "union select",
            "union all select",
            "union/**/select",
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
const HIDDEN: [&str; 17] = [
    "/backup.",
    "/dump.sql",
    ".sql",
    "/id_rsa",
    "/info.php",
    "phpinfo",
    "/?author=",
    "/wp-config",
    "/config.json",
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
const COMMON: [&str; 36] = [
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
    "/server-status",
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
    meanings: Vec<Sign>,
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
        let (patterns, meanings): (Vec<&str>, Vec<Sign>) = exploits.chain(doors).unzip();
        Self { meanings, paths: automaton(&patterns), agents: automaton(&TOOLS) }
    }

    /// What a request is; nothing where it is as most are. `line` is all of the log line, for what stands in its headers.
    pub(super) fn kind_of(&self, path: &str, agent: &str, line: &str, outcome: Outcome) -> Option<Kind> {
        let mut buffer = [0; TEXT_BYTES];
        let plain = plain(path, &mut buffer);
        let found = self.worst(plain);
        if let Some(Sign::Exploit(tries)) = found {
            return Some(Kind::Exploit(tries));
        }
        if plain.starts_with(b"http://") || plain.starts_with(b"https://") {
            return Some(Kind::Exploit("use as an open proxy"));
        }
        if line.contains("${") || line.contains("() {") {
            let mut buffer = [0; TEXT_BYTES];
            if let Some(Sign::Exploit(tries)) = self.worst(self::plain(line, &mut buffer)) {
                return Some(Kind::Exploit(tries));
            }
        }
        let mut buffer = [0; TEXT_BYTES];
        let agent = self::plain(agent, &mut buffer);
        if let Some(tool) = first(self.agents.as_ref(), agent).and_then(|number| TOOLS.get(number)) {
            return Some(Kind::Tool(tool));
        }
        match found {
            Some(Sign::Hidden) => return Some(Kind::Door),
            Some(Sign::Common) if outcome == Outcome::Failed => return Some(Kind::Door),
            _ if is_hidden(plain) => return Some(Kind::Door),
            _ => {}
        }
        let fetches = REPOSITORY_CLIENTS.iter().any(|client| agent.starts_with(client.as_bytes()));
        (outcome == Outcome::Failed && !fetches).then_some(Kind::Missing)
    }

    /// The worst sign in a text. An address as a value is one only of a script that may fetch it.
    fn worst(&self, plain: &[u8]) -> Option<Sign> {
        let of_script = [&b".php?"[..], b".cgi?", b".pl?", b".asp?", b".jsp?"];
        let scripted = of_script.iter().any(|mark| plain.windows(mark.len()).any(|window| window == *mark));
        let matches = self.paths.as_ref()?.find_overlapping_iter(plain).map(|found| found.pattern().as_usize());
        let signs = matches.filter_map(|number| Some((number, *self.meanings.get(number)?)));
        let meant = signs.filter(|(_number, sign)| scripted || !matches!(sign, Sign::Exploit(ADDRESS_AS_VALUE)));
        meant.min_by_key(|(number, _sign)| *number).map(|(_number, sign)| sign)
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
    parts.into_iter().any(|part| {
        matches!(part, [b'.', second, ..] if *second != b'.')
            && !USUAL_HIDDEN.iter().any(|usual| part.starts_with(usual.as_bytes()))
    })
}

/// A text in lower case, `+` as a blank and percent escapes undone twice.
fn plain<'buffer>(text: &str, buffer: &'buffer mut [u8; TEXT_BYTES]) -> &'buffer [u8] {
    const HALF: usize = TEXT_BYTES / 2;
    let bytes = text.as_bytes();
    let (head, tail) = match bytes.len().checked_sub(HALF).filter(|_rest| bytes.len() > TEXT_BYTES) {
        Some(tail_from) => (bytes.get(..HALF).unwrap_or_default(), bytes.get(tail_from..).unwrap_or_default()),
        None => (bytes, &[][..]),
    };
    let length = undo(head.iter().chain(tail).copied(), buffer);
    let again = buffer.get(..length).unwrap_or_default();
    if !again.contains(&b'%') {
        return buffer.get(..length).unwrap_or_default();
    }
    let copy = *buffer;
    let length = undo(copy.iter().take(length).copied(), buffer);
    buffer.get(..length).unwrap_or_default()
}

/// Undoes percent escapes once; gives the length of what is in `buffer` then.
fn undo(bytes: impl Iterator<Item = u8> + Clone, buffer: &mut [u8; TEXT_BYTES]) -> usize {
    let mut bytes = bytes;
    let mut length = 0;
    while let (Some(byte), Some(place)) = (bytes.next(), buffer.get_mut(length)) {
        let mut ahead = bytes.clone();
        let escaped = match (byte, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => Some(high * 16 + low),
            _ => None,
        };
        *place = match escaped {
            Some(escaped) => {
                bytes = ahead;
                escaped.to_ascii_lowercase()
            }
            None if byte == b'+' => b' ',
            None => byte.to_ascii_lowercase(),
        };
        length += 1;
    }
    length
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
