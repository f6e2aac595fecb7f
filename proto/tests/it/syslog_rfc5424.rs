//! RFC 5424: its own examples, structured data and its escapes, and what is built from parts reads
//! as those parts.

use nms_proto::syslog::{Dialect, StructuredData, parse};
use proptest::prelude::*;

use crate::syslog_show::{NOW, check, show};

#[test]
fn examples_of_the_rfc() {
    check(&[
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
            "Rfc5424 4.2 at=2003-10-11T22:14:15.003Z(+0) host=mymachine.example.com app=su msgid=ID47 | 'su root' failed for lonvick on /dev/pts/8",
        ),
        (
            "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
            "Rfc5424 20.5 at=2003-08-24T12:14:15Z(-25200) host=192.0.2.1 app=myproc pid=8710 | %% It's time to make the do-nuts.",
        ),
        ("<165>1 2003-08-24T05:14:15.000000003-07:00 192.0.2.1 myproc 8710 - - x", "reject: rfc5424_time"),
        (
            "<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [exampleSDID@32473 iut=\"3\"][examplePriority@32473 class=\"high\"]",
            "Rfc5424 20.5 at=2003-10-11T22:14:15.003Z(+0) host=h app=evntslog msgid=ID47 sd=[exampleSDID@32473 iut=\"3\"][examplePriority@32473 class=\"high\"] | ",
        ),
        ("<13>1 - - - - - -", "Rfc5424 1.5 | "),
        ("<13>1 - - - - - - ", "Rfc5424 1.5 | "),
        ("<13>1 - - - - - -  two blanks", "Rfc5424 1.5 |  two blanks"),
        ("<13>1 - - - - - - [not data] text", "Rfc5424 1.5 | [not data] text"),
    ]);
}

#[test]
fn field_lengths() {
    let line = |h: usize, a: usize, p: usize, m: usize| {
        let [h, a, p, m] = [h, a, p, m].map(|n| "x".repeat(n));
        show(format!("<13>1 - {h} {a} {p} {m} - text").as_bytes())
    };
    assert!(line(255, 48, 128, 32).starts_with("Rfc5424"));
    for too_long in [line(256, 48, 128, 32), line(255, 49, 128, 32), line(255, 48, 129, 32), line(255, 48, 128, 33)] {
        assert_eq!(too_long, "reject: rfc5424_header");
    }
    assert_eq!(show("<13>1 - hôst a p m - text".as_bytes()), "reject: rfc5424_header");
}

#[test]
fn malformed_structured_data() {
    let name = "n".repeat(33);
    let long = format!("[{name}]");
    for data in [
        "[",
        "[]",
        "[ a=\"b\"]",
        "[id",
        "[id a]",
        "[id a=b]",
        "[id a=\"b]",
        "[id a=\"b\"",
        "[id  a=\"b\"]",
        "[id =\"b\"]",
        "[id a=\"b\" ]",
        "[id a=\"\\]",
        "[i=d]",
        "[id a=\"b\"][",
        "[id] [id]x=",
        &long,
    ] {
        let seen = show(format!("<13>1 - - - - - {data}").as_bytes());
        let is_text_after = data == "[id] [id]x=";
        assert_eq!(seen == "reject: rfc5424_structured_data", !is_text_after, "{data}: {seen}");
    }
    assert_eq!(show(b"<13>1 - - - - - [id a=\"\xff\"] x"), "reject: rfc5424_structured_data");
}

#[test]
fn structured_data_is_walked() {
    let line = br#"<13>1 - - - - - [a@1 x="1" y="q\"b\\r\]n\n" y="2"][b][a@1 z=""] text"#;
    let message = parse(line, &NOW).expect("a message");
    let data = message.structured_data.expect("structured data");
    let walked: Vec<String> = data
        .elements()
        .map(|element| {
            let params: Vec<String> = element.params().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}({})", element.id, params.join(","))
        })
        .collect();
    assert_eq!(walked, [r#"a@1(x=1,y=q"b\r]n\n,y=2)"#, "b()", "a@1(z=)"]);
    assert_eq!(data.find("a@1", "y").as_deref(), Some(r#"q"b\r]n\n"#));
    assert_eq!(data.find("a@1", "z").as_deref(), Some(""));
    assert_eq!(data.find("b", "x"), None);
}

#[test]
fn a_bracket_whose_escape_was_forgotten_is_taken() {
    check(&[("<13>1 - - - - - [a b=\"[c]\"] text", "Rfc5424 1.5 sd=[a b=\"[c]\"] | text")]);
}

#[test]
fn text_that_is_not_utf8_is_flagged() {
    assert_eq!(show(b"<13>1 - h a - - - caf\xe9"), "Rfc5424 1.5 host=h app=a lossy | caf\u{fffd}");
}

fn nil_or(bytes_max: usize) -> impl Strategy<Value = Option<String>> {
    let field = prop::collection::vec(0x21_u8..=0x7e, 1..=bytes_max);
    let text = field.prop_map(|bytes| String::from_utf8(bytes).expect("ASCII")).prop_filter("nil", |text| text != "-");
    prop::option::of(text)
}

type Params = Vec<(String, String)>;

fn elements() -> impl Strategy<Value = Vec<(String, Params)>> {
    let name = || "[a-zA-Z0-9@._\\[-]{1,32}";
    let params = prop::collection::vec((name(), any::<String>()), 0..4);
    prop::collection::vec((name(), params), 0..4)
}

fn encode(elements: &[(String, Params)]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
    let param = |(name, value): &(String, String)| format!(" {name}=\"{}\"", escape(value));
    let element = |(id, params): &(String, Params)| format!("[{id}{}]", params.iter().map(param).collect::<String>());
    if elements.is_empty() { "-".to_owned() } else { elements.iter().map(element).collect() }
}

proptest! {
    #[test]
    fn what_is_built_from_parts_reads_as_those_parts(
        pri in 0_u8..=191,
        unix_ms in prop::option::of(0_i64..4_000_000_000_000),
        (host, app, pid, msgid) in (nil_or(255), nil_or(48), nil_or(128), nil_or(32)),
        elements in elements(),
        bom in any::<bool>(),
        text in "[^\\x00-\\x1f\\x7f\u{feff}]{0,80}",
    ) {
        let nil = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
        let at = unix_ms.map(|ms| jiff::Timestamp::from_millisecond(ms).expect("in range").to_string());
        let bom = if bom { "\u{feff}" } else { "" };
        let head = [nil(&at), nil(&host), nil(&app), nil(&pid), nil(&msgid), encode(&elements)].join(" ");
        let line = format!("<{pri}>1 {head} {bom}{text}");
        // Generated values may hold what is refused before any field is read; the escapes are the point here.
        prop_assume!(!line.contains('\0') && line.chars().filter(|c| c.is_control()).count() * 20 < line.len());

        let message = parse(line.as_bytes(), &NOW).map_err(|reject| TestCaseError::fail(format!("{reject}: {line}")))?;
        prop_assert_eq!(message.dialect, Dialect::Rfc5424);
        prop_assert_eq!(message.facility * 8 + message.severity, pri);
        prop_assert_eq!(message.device_at.map(|at| at.unix_ms), unix_ms);
        prop_assert_eq!(message.host, host.as_deref());
        prop_assert_eq!(message.app, app.as_deref());
        prop_assert_eq!(message.pid, pid.as_deref());
        prop_assert_eq!(message.msgid, msgid.as_deref());
        prop_assert_eq!(message.message.as_ref(), text.as_str());
        let seen: Vec<(String, Params)> = message.structured_data.into_iter().flat_map(StructuredData::elements)
            .map(|element| (element.id.to_owned(), element.params().map(|(n, v)| (n.to_owned(), v.into_owned())).collect()))
            .collect();
        prop_assert_eq!(seen, elements);
    }
}
