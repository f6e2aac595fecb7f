//! Who may enrol, and who is enrolled: the account that an authority keeps, and its word on each certificate.
//!
//! ```text
//! tokens.v1         SHA-256 of the secret  -> what it is for, made, good until, used, revoked; JSON
//! certificates.v1   serial number          -> whom it is for, host, made, good until, revoked; JSON
//! ```
//! A token is used up in the commit that accounts for the certificate. A certificate that stands here
//! and is neither expired nor revoked is believed; one that does not stand here is refused, whoever
//! signed it. What was renewed belongs together: revoking one revokes all of it, and ends its
//! connections.

mod answer;
mod live;
mod rows;

use std::{fmt, path::Path, sync::Arc};

use nms_proto::limits::{CERTIFICATE_MS, CERTIFICATE_MS_MIN, CERTIFICATES_MAX, TOKEN_MS, TOKEN_MS_MAX, TOKENS_MAX};
use smol::lock::Mutex;

use crate::{
    digest,
    pki::{self, Authority, Holder, Issued, PkiError, Serial},
    store::{Class, Db, Found, Settings, StoreError, Table, map::Map},
    token::{Secret, Token},
};

pub use live::{Ended, Watch};
pub use rows::{CertificateRow, TokenRow};

/// Page cache of the account, in bytes.
const CACHE_BYTES: usize = 1 << 20;
const TOKENS: Table = Table("tokens.v1");
const CERTIFICATES: Table = Table("certificates.v1");
const VERSION: u32 = 1;

/// Why somebody is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token was made with this secret, or it is forgotten by now.
    UnknownToken,
    /// The token was used before.
    UsedToken,
    /// The token is too old.
    ExpiredToken,
    /// The token was taken back.
    RevokedToken,
    /// The request cannot be signed, and why.
    Request(String),
    /// The certificate does not stand in the account.
    Unknown,
    /// The certificate was revoked.
    Revoked(Serial),
    /// The certificate is too old.
    Expired(Serial),
    /// The certificate has too much of its life left to be renewed.
    NotDue(Serial),
    /// The account is full.
    Full(&'static str, usize),
    /// The account cannot be read or written.
    Store(String),
}

impl Refusal {
    /// The name under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownToken => "token_unknown",
            Self::UsedToken => "token_used",
            Self::ExpiredToken => "token_expired",
            Self::RevokedToken => "token_revoked",
            Self::Request(_) => "certificate_request",
            Self::Unknown => "certificate_unknown",
            Self::Revoked(_) => "certificate_revoked",
            Self::Expired(_) => "certificate_expired",
            Self::NotDue(_) => "renewal_not_due",
            Self::Full(..) => "account_full",
            Self::Store(_) => "store",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownToken => f.write_str("unknown enrolment token: it was not made here, make one with token new"),
            Self::UsedToken => f.write_str("this enrolment token was used before: make another one with token new"),
            Self::ExpiredToken => f.write_str("this enrolment token has expired: make another one with token new"),
            Self::RevokedToken => f.write_str("this enrolment token was revoked: make another one with token new"),
            Self::Request(problem) | Self::Store(problem) => f.write_str(problem),
            Self::Unknown => f.write_str("this certificate is not among those that were issued here: enrol again"),
            Self::Revoked(serial) => write!(f, "certificate {serial} was revoked: enrol again with a new token"),
            Self::Expired(serial) => write!(f, "certificate {serial} has expired: enrol again with a new token"),
            Self::NotDue(serial) => write!(f, "certificate {serial} has half of its life left and is not renewed yet"),
            Self::Full(what, max) => write!(f, "there are {max} {what}, and no more are kept"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// What a token is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Who enrols with it.
    pub holder: Holder,
    /// How long it is good, in milliseconds.
    pub for_ms: i64,
    /// How long the certificates are valid that come of it, in milliseconds.
    pub life_ms: i64,
    /// Where the client finds the server.
    pub address: Option<String>,
}

impl NewToken {
    /// One for `holder`, with the usual times.
    pub fn of(holder: Holder) -> Self {
        Self { holder, for_ms: TOKEN_MS, life_ms: CERTIFICATE_MS, address: None }
    }
}

/// The account, and the authority that it is of.
#[derive(Debug)]
pub struct Roll {
    authority: Authority,
    tokens: Map,
    certificates: Map,
    /// Held from the look at a token or certificate to the commit that changes it.
    changing: Mutex<()>,
    live: Arc<live::Live>,
}

impl Roll {
    /// The account in the file `path`, which is made where there is none.
    ///
    /// # Errors
    /// The file cannot be opened; names it and what to do.
    pub fn open(path: &Path, authority: Authority) -> Result<Self, StoreError> {
        let db = Db::open_file(path, Settings::with_cache(CACHE_BYTES))?;
        db.refuse_newer("tokens", VERSION)?;
        db.refuse_newer("certificates", VERSION)?;
        let (tokens, certificates) = (Map::new(db.clone(), TOKENS), Map::new(db, CERTIFICATES));
        Ok(Self { authority, tokens, certificates, changing: Mutex::new(()), live: Arc::default() })
    }

    /// The store that it is in.
    pub fn db(&self) -> &Db {
        self.tokens.db()
    }

    /// The authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Makes a token; its text is known only now.
    ///
    /// # Errors
    /// The times are out of bounds, there are too many tokens, or it cannot be stored.
    pub async fn new_token(&self, now_ms: i64, new: NewToken) -> Result<(TokenRow, Token), Refusal> {
        if !(1..=TOKEN_MS_MAX).contains(&new.for_ms) {
            return Err(Refusal::Request(format!("a token is good for at most {} days", TOKEN_MS_MAX / 86_400_000)));
        }
        if !(CERTIFICATE_MS_MIN..=CERTIFICATE_MS).contains(&new.life_ms) {
            let (least, most) = (CERTIFICATE_MS_MIN / 1_000, CERTIFICATE_MS / 86_400_000);
            return Err(Refusal::Request(format!("a certificate lives for {least} seconds to {most} days")));
        }
        let _changing = self.changing.lock().await;
        let all = self.tokens.scan(b"")?.entries;
        let is_old = |row: &TokenRow| now_ms.saturating_sub(row.expires_ms) > TOKEN_MS_MAX;
        let gone: Vec<_> = all.iter().filter(|(_, value)| rows::decode(value).is_none_or(|row| is_old(&row))).collect();
        // Only where their room is needed: the clock that calls them old may be wrong today.
        let gone = if all.len() < TOKENS_MAX { Vec::new() } else { gone };
        if all.len() - gone.len() >= TOKENS_MAX {
            return Err(Refusal::Full("enrolment tokens, used and expired ones included", TOKENS_MAX));
        }
        let secret = Secret(pki::random().map_err(|error| Refusal::Store(error.to_string()))?);
        let row = TokenRow {
            holder: new.holder,
            made_ms: now_ms,
            expires_ms: now_ms + new.for_ms,
            life_ms: new.life_ms,
            used_ms: None,
            revoked_ms: None,
        };
        let mut ops: Vec<_> = gone.iter().map(|(key, _)| self.tokens.delete(key)).collect();
        ops.push(self.tokens.put(&secret.hash(), &rows::encode(&row)?));
        self.tokens.db().commit(ops, Class::Intake).await?;
        Ok((row, Token { authority: self.authority.fingerprint(), secret, address: new.address }))
    }

    /// All tokens that are kept account of, by id.
    ///
    /// # Errors
    /// The account cannot be read.
    pub fn tokens(&self) -> Result<Vec<(String, TokenRow)>, Refusal> {
        let rows = self.tokens.scan(b"")?.entries;
        Ok(rows.iter().filter_map(|(key, value)| Some((token_id(key), rows::decode(value)?))).collect())
    }

    /// Takes the token of that id back.
    ///
    /// # Errors
    /// There is none of that id that could still be used.
    pub async fn revoke_token(&self, now_ms: i64, id: &str) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let found = self.tokens.scan(b"")?.entries.into_iter().find(|(key, _)| token_id(key) == id);
        let row = found.and_then(|(key, value)| Some((key, rows::decode::<TokenRow>(&value)?)));
        let (key, row) = row.ok_or_else(|| Refusal::Request(format!("there is no token {id}: see token list")))?;
        if row.used_ms.is_some() {
            let words = format!("token {id} was used: what was issued for it is revoked by its serial number");
            return Err(Refusal::Request(words));
        }
        let row = TokenRow { revoked_ms: Some(now_ms), ..row };
        Ok(self.tokens.db().commit(vec![self.tokens.put(&key, &rows::encode(&row)?)], Class::Upkeep).await?)
    }

    /// Issues a certificate for a token, which is used up by that. `host` is what the client says of itself.
    ///
    /// # Errors
    /// The token is not good, the request cannot be signed, or the account is full.
    pub async fn enrol(&self, now_ms: i64, secret: &str, request: &str, host: &str) -> Result<Issued, Refusal> {
        let _changing = self.changing.lock().await;
        let key = Secret::of(secret).ok_or(Refusal::UnknownToken)?.hash();
        let found = self.tokens.value(&key)?.and_then(Found::sound);
        let row: TokenRow = found.and_then(|value| rows::decode(&value)).ok_or(Refusal::UnknownToken)?;
        match row {
            _ if row.revoked_ms.is_some() => return Err(Refusal::RevokedToken),
            _ if row.used_ms.is_some() => return Err(Refusal::UsedToken),
            _ if now_ms >= row.expires_ms => return Err(Refusal::ExpiredToken),
            _ => {}
        }
        let issued = self.sign(now_ms, request, &row.holder, row.life_ms)?;
        let certificate = CertificateRow {
            holder: row.holder.clone(),
            host: rows::host(host),
            lineage: issued.serial,
            made_ms: now_ms,
            expires_ms: issued.not_after_ms,
            life_ms: row.life_ms,
            revoked_ms: None,
        };
        let used = TokenRow { used_ms: Some(now_ms), ..row };
        let used = self.tokens.put(&key, &rows::encode(&used)?);
        self.issue(now_ms, issued, &certificate, vec![used]).await
    }

    /// Issues the certificate that follows the one of an authenticated connection; both are valid until the old one
    /// expires.
    ///
    /// # Errors
    /// It has more than half of its life left, was revoked, or the request cannot be signed.
    pub async fn renew(&self, now_ms: i64, watch: &mut Watch, request: &str) -> Result<Issued, Refusal> {
        let issued = self.follow(now_ms, watch.serial(), request).await?;
        watch.renewed(&issued);
        Ok(issued)
    }

    /// Issues the certificate that follows the one of this number.
    async fn follow(&self, now_ms: i64, serial: Serial, request: &str) -> Result<Issued, Refusal> {
        let _changing = self.changing.lock().await;
        let row = self.row(serial)?;
        row.check(now_ms, serial)?;
        if row.expires_ms - now_ms > row.life_ms / 2 {
            return Err(Refusal::NotDue(serial));
        }
        let issued = self.sign(now_ms, request, &row.holder, row.life_ms)?;
        let next = CertificateRow { made_ms: now_ms, expires_ms: issued.not_after_ms, ..row };
        self.issue(now_ms, issued, &next, Vec::new()).await
    }

    fn sign(&self, now_ms: i64, request: &str, holder: &Holder, life_ms: i64) -> Result<Issued, Refusal> {
        let signed = self.authority.sign(request, holder, now_ms, life_ms);
        signed.map_err(|error: PkiError| Refusal::Request(error.to_string()))
    }

    async fn issue(
        &self,
        now_ms: i64,
        issued: Issued,
        row: &CertificateRow,
        mut ops: Vec<crate::store::Op>,
    ) -> Result<Issued, Refusal> {
        let all = self.certificates.scan(b"")?.entries;
        let is_over = |value: &[u8]| rows::decode(value).is_none_or(|row: CertificateRow| row.expires_ms <= now_ms);
        // Only where their room is needed: the clock that calls them over may be wrong today.
        let gone = all.iter().filter(|(_, value)| all.len() >= CERTIFICATES_MAX && is_over(value));
        let before = ops.len();
        ops.extend(gone.map(|(key, _)| self.certificates.delete(key)));
        if all.len() - (ops.len() - before) >= CERTIFICATES_MAX {
            return Err(Refusal::Full("certificates", CERTIFICATES_MAX));
        }
        ops.push(self.certificates.put(&issued.serial.0, &rows::encode(row)?));
        self.certificates.db().commit(ops, Class::Intake).await?;
        Ok(issued)
    }

    /// Whose a certificate (DER) is that a peer showed in its handshake; holds its connection to account until it ends.
    ///
    /// # Errors
    /// It is not believed, and why.
    pub fn admit(&self, now_ms: i64, certificate: &[u8]) -> Result<(Holder, Watch), Refusal> {
        let seen = pki::seen(certificate).ok_or(Refusal::Unknown)?;
        let (Some(serial), Some(holder)) = (seen.serial, seen.holder) else { return Err(Refusal::Unknown) };
        // Known as live before the look at the account, so that no revocation falls between.
        let row = self.row(serial)?;
        let watch = self.live.watch(serial, row.lineage, row.expires_ms);
        let row = self.row(serial)?;
        row.check(now_ms, serial)?;
        if row.holder != holder {
            return Err(Refusal::Unknown);
        }
        Ok((holder, watch))
    }

    fn row(&self, serial: Serial) -> Result<CertificateRow, Refusal> {
        let found = self.certificates.value(&serial.0)?.and_then(Found::sound);
        found.and_then(|value| rows::decode(&value)).ok_or(Refusal::Unknown)
    }

    /// All certificates that are kept account of, by serial number, and whether a connection of it is open.
    ///
    /// # Errors
    /// The account cannot be read.
    pub fn certificates(&self) -> Result<Vec<(Serial, CertificateRow, bool)>, Refusal> {
        let rows = self.certificates.scan(b"")?.entries;
        let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let serial = Serial(key.as_slice().try_into().ok()?);
            Some((serial, rows::decode(value)?, self.live.is_live(serial)))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Revokes a certificate, those that it follows and those that follow it, and ends their connections; gives how
    /// many were revoked.
    ///
    /// # Errors
    /// There is none of that number, or it cannot be stored.
    pub async fn revoke(&self, now_ms: i64, serial: Serial) -> Result<usize, Refusal> {
        let _changing = self.changing.lock().await;
        let lineage = self.row(serial).map_err(|refusal| match refusal {
            Refusal::Unknown => Refusal::Request(format!("there is no certificate {serial}: see the list")),
            other => other,
        });
        let lineage = lineage?.lineage;
        let mut ops = Vec::new();
        for (key, value) in self.certificates.scan(b"")?.entries {
            let row: Option<CertificateRow> = rows::decode(&value);
            if let Some(row) = row.filter(|row| row.lineage == lineage && row.revoked_ms.is_none()) {
                let row = CertificateRow { revoked_ms: Some(now_ms), ..row };
                ops.push(self.certificates.put(&key, &rows::encode(&row)?));
            }
        }
        let count = ops.len();
        self.certificates.db().commit(ops, Class::Upkeep).await?;
        self.live.revoke(lineage);
        Ok(count)
    }
}

/// What a token is called where its secret must not stand: the beginning of its hash.
fn token_id(hash: &[u8]) -> String {
    digest::hex(hash.get(..6).unwrap_or(hash))
}

/// The name of a token that was just made.
pub fn id_of(token: &Token) -> String {
    token_id(&token.secret.hash())
}
