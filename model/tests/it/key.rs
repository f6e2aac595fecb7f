//! Typed keys, their names, and the factors beside them.

use nms_model::key::{
    Context, Factor, GROUPS, SPECIALS, Situation, SourceRole, TypedKey, UNKNOWN, UtcOffset, Vocabulary, VocabularyError,
};
use nms_proto::extraction::{Action, Actor, AppFamily, Extraction, Object, Outcome};

pub(crate) fn key(name: &str) -> TypedKey {
    TypedKey::parse(name).unwrap()
}

pub(crate) fn situation(at_ms: i64) -> Situation {
    let offset = UtcOffset::Seconds(0);
    let (severity, role) = (Some(6), SourceRole::Server);
    Situation { at_ms, offset, severity, role, admin_session: false, package_manager: false }
}

#[test]
fn every_key_has_one_name_and_finds_back() {
    for index in 0..TypedKey::COUNT {
        let key = TypedKey::from_index(index).unwrap();
        assert_eq!(TypedKey::parse(&key.to_string()), Some(key));
        assert!(key.is_group() || TypedKey::new(key.family(), key.action(), key.outcome()) == key);
    }
    assert_eq!(TypedKey::from_index(TypedKey::COUNT), None);
    let failed = TypedKey::new(AppFamily::Sshd, Action::Login, Outcome::Failed);
    assert_eq!(failed.to_string(), "sshd.login.failed");
    assert_eq!(
        TypedKey::new(AppFamily::Connection, Action::Ids, Outcome::Failed).index() + GROUPS,
        TypedKey::COUNT - 1
    );
    for wrong in ["", "sshd", "sshd.login", "sshd.login.failed.x", "ssh.login.ok"] {
        assert_eq!(TypedKey::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn parameters_never_enter_the_key() {
    let base = Extraction::unknown(AppFamily::Sudo);
    let other = Extraction { account: Some("root"), object: Some(Object::Path("/etc/shadow")), ..base };
    assert_eq!(TypedKey::of(&base), TypedKey::of(&other));
    assert_eq!(TypedKey::of(&base).to_string(), "sudo.other.none");
    assert_ne!(Context::of(&base, &situation(0)), Context::of(&other, &situation(0)));
}

#[test]
fn factors() {
    let extraction = Extraction {
        actor: Some(Actor::Address([203, 0, 113, 9].into())),
        account: Some("zoe"),
        account_exists: Some(false),
        object: Some(Object::Endpoint { address: [10, 0, 0, 1].into(), port: Some(22) }),
        ..Extraction::unknown(AppFamily::Sshd)
    };
    let context = Context::of(&extraction, &situation(0));
    for factor in
        [Factor::Hour, Factor::Role, Factor::Session, Factor::Severity, Factor::Actor, Factor::Account, Factor::Object]
    {
        assert_ne!(context.value(factor), 0, "{factor:?}");
    }
    assert_eq!(context.with(Factor::Hour, 200).value(Factor::Hour), 0, "a value that does not exist is unknown");
    let masked = context.masked();
    assert_eq!((masked.value(Factor::Actor), masked.value(Factor::Account), masked.value(Factor::Object)), (0, 0, 0));
    assert_eq!(masked.value(Factor::Hour), context.value(Factor::Hour));
}

#[test]
fn hours_follow_the_source_and_the_weekend() {
    let hour = |at_ms: i64, offset: UtcOffset| {
        let situation = Situation { offset, ..situation(at_ms) };
        Context::of(&Extraction::unknown(AppFamily::Cron), &situation).value(Factor::Hour)
    };
    let thursday = 0;
    let saturday = 2 * 86_400_000;
    assert_eq!(hour(thursday, UtcOffset::Seconds(0)), 1);
    assert_eq!(hour(thursday, UtcOffset::Seconds(5 * 3600)), 2);
    assert_eq!(hour(thursday, UtcOffset::Seconds(-3600)), 6, "late on Wednesday");
    assert_eq!(hour(saturday, UtcOffset::Seconds(0)), 7);
    assert_eq!(hour(saturday, UtcOffset::Unknown), 0);
}

#[test]
fn a_vocabulary_is_ordered_by_frequency_and_refuses_what_it_does_not_know() {
    let [a, b, c] = ["sshd.login.ok", "cron.command.none", "sudo.command.ok"].map(key);
    let vocabulary = Vocabulary::learn([a, b, b, c, b, c]);
    assert_eq!(vocabulary.keys(), [b, c, a]);
    assert_eq!(vocabulary.token(b) as usize, SPECIALS);
    assert_eq!(vocabulary.key(vocabulary.token(a)), Some(a));
    assert_eq!(vocabulary.token(key("pf.block.none")), UNKNOWN);
    let names: Vec<String> = vocabulary.keys().iter().map(ToString::to_string).collect();
    assert_eq!(Vocabulary::from_names(names.iter().map(String::as_str)), Ok(vocabulary));
    assert_eq!(Vocabulary::from_names(["x.y.z"]), Err(VocabularyError::Unknown("x.y.z".into())));
    let twice = Vocabulary::from_names(["sshd.login.ok", "sshd.login.ok"]);
    assert_eq!(twice, Err(VocabularyError::Twice("sshd.login.ok".into())));
}
