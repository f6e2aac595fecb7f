//! The filter's words: what they show, how they are written back, what is refused.

use nms_tui::filter::{Filter, Subject};

use crate::{driver::Driver, scene};

/// The ids and numbers of what `filter` shows of the scene.
fn shown(filter: &str) -> String {
    let filter = Filter::parse(filter).unwrap();
    let alerts = scene::alerts().into_iter().filter(|alert| filter.shows(&Subject::from(alert)));
    let mut names: Vec<String> = alerts.map(|alert| alert.id.to_string().replace("00000000000000", "")).collect();
    let lines = scene::lines().into_iter().take(8).filter(|line| filter.shows(&Subject::from(line)));
    names.extend(lines.map(|line| line.seq.to_string()));
    names.join(" ")
}

#[test]
fn terms_show_what_they_say() {
    let check = |filter: &str, names: &str| assert_eq!(shown(filter), names, "{filter}");
    check("", "a-04 a-03 a-02 a-a1 1 2 3 4 5 6 7 8");
    check("sev>=high", "a-02 a-a1 1 2 3 4 5 6 7 8");
    check("sev<=err", "a-04 a-03 a-02 a-a1 3 6");
    check("sev<=3 sev>=CRIT", "a-02 3 6");
    check("status=open app=sshd", "1 2");
    check("status=open web", "a-02 5 6");
    check("status=closed app=network", "a-04");
    check("status=acknowledged source=192.168.1.1 sev<=emerg", "a-03");
    check("FAILED", "a-a1 1 2");
    check("\"link down\"", "3");
    check("-root -rtr -web01 sev>=med", "a-03 3 7");
    check("\"-Failed password\" source=192", "a-03 a-a1");
    check("10.0.0.50", "a-a1 1 2");
}

#[test]
fn what_is_not_understood_is_named() {
    let check = |filter: &str, message: &str| assert_eq!(Filter::parse(filter).unwrap_err().to_string(), message);
    check("sev>=loud", "filter: sev>=loud is not sev>= and one of INFO LOW MEDIUM HIGH CRITICAL");
    check("sev<=9", "filter: sev<=9 is not sev<= and one of emerg alert crit err warn notice info debug");
    check("ok status=gone", "filter: status=gone is not status= and open, all or an alert's status");
}

#[test]
fn a_filter_is_written_back_as_it_is_read() {
    for text in ["sev>=HIGH status=open web01", "sev<=err app=sshd -cron \"two words\"", "\"source=a b\" \"-x y\""] {
        assert_eq!(Filter::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn plus_and_minus_step_the_severity() {
    let check = |keys: &str, alerts: &str, lines: &str| {
        let mut driver = Driver::live(80, 24);
        driver.keys(keys);
        driver.keys(&format!("2{keys}"));
        let filters = (driver.app.alerts.filter.to_string(), driver.app.logs.filter.to_string());
        assert_eq!(filters, (alerts.into(), lines.into()), "{keys}");
    };
    check("+", "sev>=LOW status=open", "sev<=info");
    check("+++", "sev>=HIGH status=open", "sev<=warn");
    check("++++++++++", "sev>=CRITICAL status=open", "sev<=emerg");
    check("++--", "status=open", "");
    check("---", "status=open", "");
}

#[test]
fn a_wrong_filter_can_be_mended() {
    let mut driver = Driver::live(80, 24);
    driver.keys("f sev>=x<enter>");
    driver.keys("<backspace>low<enter>");
    assert_eq!(driver.app.alerts.filter.to_string(), "status=open sev>=LOW");
}
