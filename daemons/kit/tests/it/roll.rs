//! The account of an authority, in virtual time: tokens that are good once, certificates that end.

use nms_kit::{
    enroll::Place,
    pki::{Authority, Holder, Issued, Request, Serial},
    roll::{Ended, NewToken, Refusal, Roll},
    secret, tls,
    token::{Token, TokenError},
};
use nms_proto::limits::{CERTIFICATE_MS, TOKEN_MS, TOKEN_MS_MAX, TOKENS_MAX};
use smol::future::{block_on, poll_once};

/// 2026-01-05T14:30:00Z.
const NOW_MS: i64 = 1_767_623_400_000;

struct Desk {
    roll: Roll,
    folder: tempfile::TempDir,
}

fn home() -> Holder {
    Holder::Tenant("home".into())
}

fn der(issued: &Issued) -> Vec<u8> {
    tls::first_certificate(issued.pem.as_bytes()).unwrap()
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::make(NOW_MS).unwrap();
        Self { roll: Roll::open(&folder.path().join("identity.redb"), authority).unwrap(), folder }
    }

    fn token(&self, now_ms: i64) -> Token {
        block_on(self.roll.new_token(now_ms, NewToken::of(home()))).unwrap().1
    }

    fn enrol(&self, now_ms: i64, token: &Token) -> Result<Issued, Refusal> {
        let request = Request::make().unwrap().request;
        block_on(self.roll.enrol(now_ms, &token.secret.text(), &request, "pi"))
    }

    fn revoke(&self, serial: Serial) -> Result<usize, Refusal> {
        block_on(self.roll.revoke(NOW_MS, serial))
    }
}

#[test]
fn a_token_is_good_once() {
    let desk = Desk::open();
    let token = desk.token(NOW_MS);
    let issued = desk.enrol(NOW_MS + 1, &token).unwrap();
    assert_eq!(desk.enrol(NOW_MS + 2, &token), Err(Refusal::UsedToken));
    let (holder, watch) = desk.roll.admit(NOW_MS + 3, &der(&issued)).unwrap();
    assert_eq!((holder, watch.serial()), (home(), issued.serial));
    assert_eq!(desk.enrol(NOW_MS, &Desk::open().token(NOW_MS)), Err(Refusal::UnknownToken));
}

#[test]
fn a_token_expires_and_can_be_taken_back() {
    let desk = Desk::open();
    let token = desk.token(NOW_MS);
    assert_eq!(desk.enrol(NOW_MS + TOKEN_MS, &token), Err(Refusal::ExpiredToken));
    let id = desk.roll.tokens().unwrap().remove(0).0;
    block_on(desk.roll.revoke_token(NOW_MS, &id)).unwrap();
    assert_eq!(desk.enrol(NOW_MS, &token), Err(Refusal::RevokedToken));
    let unknown = block_on(desk.roll.revoke_token(NOW_MS, "aa")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no token aa: see token list");
}

#[test]
fn a_request_that_is_none_does_not_use_the_token_up() {
    let desk = Desk::open();
    let token = desk.token(NOW_MS);
    let refused = block_on(desk.roll.enrol(NOW_MS, &token.secret.text(), "none", "pi")).unwrap_err();
    assert_eq!(refused.reason(), "certificate_request");
    assert!(desk.enrol(NOW_MS, &token).is_ok());
}

#[test]
fn only_hashes_of_secrets_are_kept() {
    let desk = Desk::open();
    let token = desk.token(NOW_MS);
    let stored = std::fs::read(desk.folder.path().join("identity.redb")).unwrap();
    let is_in = |needle: &[u8]| stored.windows(needle.len()).any(|window| window == needle);
    assert!(is_in(&token.secret.hash()));
    assert!(!is_in(&token.secret.0) && !is_in(token.secret.text().as_bytes()));
}

#[test]
fn there_are_only_so_many_tokens_and_old_ones_go() {
    let desk = Desk::open();
    for _ in 0..TOKENS_MAX {
        desk.token(NOW_MS);
    }
    let later = |now_ms| block_on(desk.roll.new_token(now_ms, NewToken::of(home())));
    assert_eq!(later(NOW_MS).unwrap_err().reason(), "account_full");
    assert!(later(NOW_MS + TOKEN_MS + TOKEN_MS_MAX + 1).is_ok());
    assert_eq!(desk.roll.tokens().unwrap().len(), 1);
    let bad = NewToken { for_ms: TOKEN_MS_MAX + 1, ..NewToken::of(home()) };
    assert!(block_on(desk.roll.new_token(NOW_MS, bad)).unwrap_err().to_string().contains("at most 30 days"));
    let bad = NewToken { life_ms: CERTIFICATE_MS + 1, ..NewToken::of(home()) };
    assert!(block_on(desk.roll.new_token(NOW_MS, bad)).unwrap_err().to_string().contains("to 90 days"));
}

#[test]
fn a_certificate_ends_by_its_date_and_by_revocation() {
    let desk = Desk::open();
    let issued = desk.enrol(NOW_MS, &desk.token(NOW_MS)).unwrap();
    let admit = |now_ms| desk.roll.admit(now_ms, &der(&issued)).map(drop);
    assert_eq!(admit(NOW_MS + CERTIFICATE_MS - 1), Ok(()));
    assert_eq!(admit(NOW_MS + CERTIFICATE_MS), Err(Refusal::Expired(issued.serial)));
    let (_, watch) = desk.roll.admit(NOW_MS, &der(&issued)).unwrap();
    assert!(desk.roll.certificates().unwrap()[0].2, "it is connected");
    assert_eq!(desk.revoke(issued.serial), Ok(1));
    assert_eq!(block_on(watch.ended()), Ended::Revoked);
    drop(watch);
    assert!(!desk.roll.certificates().unwrap()[0].2);
    assert_eq!(admit(NOW_MS), Err(Refusal::Revoked(issued.serial)));
}

#[test]
fn a_certificate_of_another_authority_or_of_none_is_unknown() {
    let (desk, other) = (Desk::open(), Desk::open());
    let theirs = other.enrol(NOW_MS, &other.token(NOW_MS)).unwrap();
    assert_eq!(desk.roll.admit(NOW_MS, &der(&theirs)).unwrap_err(), Refusal::Unknown);
    assert_eq!(desk.roll.admit(NOW_MS, b"nothing").unwrap_err(), Refusal::Unknown);
    // Signed by the authority and not in its account: as after the loss of the account.
    let request = Request::make().unwrap().request;
    let unlisted = desk.roll.authority().sign(&request, &home(), NOW_MS, CERTIFICATE_MS).unwrap();
    assert_eq!(desk.roll.admit(NOW_MS, &der(&unlisted)).unwrap_err(), Refusal::Unknown);
}

#[test]
fn a_renewed_certificate_and_the_old_one_are_valid_together_and_revoked_together() {
    let desk = Desk::open();
    // Whether a live connection ends is the real clock's to say.
    let now_ms = nms_kit::clock::unix_ms();
    let old = desk.enrol(now_ms, &desk.token(now_ms)).unwrap();
    let (_, mut watch) = desk.roll.admit(now_ms, &der(&old)).unwrap();
    let request = Request::make().unwrap().request;
    let early = block_on(desk.roll.renew(now_ms + CERTIFICATE_MS / 3, &mut watch, &request)).unwrap_err();
    assert_eq!(early, Refusal::NotDue(old.serial));
    let due_ms = now_ms + CERTIFICATE_MS * 2 / 3;
    let new = block_on(desk.roll.renew(due_ms, &mut watch, &request)).unwrap();
    assert_eq!(watch.serial(), new.serial);
    assert_eq!(block_on(desk.roll.renew(due_ms, &mut watch, &request)), Err(Refusal::NotDue(new.serial)));
    for issued in [&old, &new] {
        assert!(desk.roll.admit(due_ms, &der(issued)).is_ok());
    }
    let expired_ms = now_ms + CERTIFICATE_MS;
    assert!(desk.roll.admit(expired_ms, &der(&old)).is_err());
    assert!(desk.roll.admit(expired_ms, &der(&new)).is_ok());
    assert!(block_on(poll_once(watch.ended())).is_none(), "the connection lives on");
    let other = desk.enrol(now_ms, &desk.token(now_ms)).unwrap();
    assert_eq!(desk.revoke(old.serial), Ok(2), "whatever was renewed from it");
    assert_eq!(block_on(watch.ended()), Ended::Revoked);
    assert!(desk.roll.admit(due_ms, &der(&new)).is_err());
    assert!(desk.roll.admit(now_ms, &der(&other)).is_ok());
}

#[test]
fn the_account_is_there_after_a_restart() {
    let desk = Desk::open();
    let (used, open) = (desk.token(NOW_MS), desk.token(NOW_MS));
    let issued = desk.enrol(NOW_MS, &used).unwrap();
    desk.revoke(issued.serial).unwrap();
    let Desk { roll, folder } = desk;
    drop(roll);
    // Another authority reads the same account: what it says does not depend on who signs.
    let roll = Roll::open(&folder.path().join("identity.redb"), Authority::make(NOW_MS).unwrap()).unwrap();
    let desk = Desk { roll, folder };
    assert_eq!(desk.enrol(NOW_MS, &used), Err(Refusal::UsedToken));
    assert!(desk.enrol(NOW_MS, &open).is_ok());
    assert_eq!(desk.roll.admit(NOW_MS, &der(&issued)).unwrap_err(), Refusal::Revoked(issued.serial));
}

#[test]
fn a_token_is_written_and_read() {
    let token = Desk::open().token(NOW_MS);
    for address in [None, Some("server.example:1514".to_owned()), Some("[2001:db8::1]:1514".to_owned())] {
        let token = Token { address, ..token.clone() };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(format!(" {token}\n").parse(), Ok(token));
    }
    let text = token.to_string();
    let check = |text: &str, problem: TokenError| assert_eq!(text.parse::<Token>(), Err(problem), "{text}");
    check("", TokenError::Version);
    check("nms2.a.b", TokenError::Version);
    check("nms1.a.b", TokenError::Parts);
    check(text.strip_suffix(|_: char| true).unwrap(), TokenError::Parts);
    check(&format!("{text}A"), TokenError::Parts);
    check(&text.replacen('.', "_", 2), TokenError::Version);
    check(&format!("{text}@nowhere"), TokenError::Address);
    assert!(!format!("{token:?}").contains(&token.secret.text()), "a secret is never shown by accident");
}

/// The clock of an authority is a year ahead for a while: whoever is enrolled is when it is right again, and a token that
/// nobody used is good again.
#[test]
fn a_clock_that_was_wrong_forgets_nobody() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let desk = Desk::open();
    let (issued, unused) = (desk.enrol(NOW_MS, &desk.token(NOW_MS)).unwrap(), desk.token(NOW_MS));
    assert_eq!(desk.enrol(NOW_MS + YEAR_MS, &unused), Err(Refusal::ExpiredToken));
    // What is issued meanwhile makes no room that it does not need.
    let other = desk.token(NOW_MS + YEAR_MS);
    desk.enrol(NOW_MS + YEAR_MS, &other).unwrap();
    assert_eq!(desk.roll.admit(NOW_MS + YEAR_MS, &der(&issued)).unwrap_err(), Refusal::Expired(issued.serial));
    assert!(desk.roll.admit(NOW_MS, &der(&issued)).is_ok());
    assert!(desk.enrol(NOW_MS, &unused).is_ok());
    assert_eq!(desk.enrol(NOW_MS, &other), Err(Refusal::UsedToken));
}

/// A certificate that is not valid by the client's own clock does not take the place of one that is.
#[test]
fn a_renewal_from_another_time_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::within(folder.path(), "ca.pem");
    let desk = Desk::open();
    let request = Request::make().unwrap();
    let sign = |now_ms| desk.roll.authority().sign(&request.request, &home(), now_ms, CERTIFICATE_MS).unwrap().pem;
    let first = sign(NOW_MS);
    std::fs::write(folder.path().join("identity.pem"), &first).unwrap();
    secret::write_private(&folder.path().join("identity-key.pem"), &request.key).unwrap();
    let (identity, _) = place.open().unwrap();
    let year_ms = 365 * 86_400_000;
    let refused = place.renew(&identity, &sign(NOW_MS + year_ms), NOW_MS).unwrap_err();
    assert!(refused.contains("check both clocks"), "{refused}");
    assert_eq!(std::fs::read_to_string(folder.path().join("identity.pem")).unwrap(), first);
    assert!(place.renew(&identity, &sign(NOW_MS + 1), NOW_MS + 2).is_ok());
}
