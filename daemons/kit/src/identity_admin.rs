//! What a person asks of an authority, the same at server and hub: tokens, and who is enrolled.
//!
//! ```text
//! token new      name, for_ms, life_ms, address   the token, and a line on what it is for
//! token list     {"id":"..","tenant":"home","state":"good","made":"..","expires":".."}          a line each
//! token revoke   id
//! enrolled list  {"serial":"..","tenant":"home","host":"..","state":"connected", ..}            a line each
//! enrolled revoke  serial
//! ```

use clap::{Args, Subcommand};
use nms_proto::{
    limits::{CERTIFICATE_MS, TOKEN_MS},
    time::Stamp,
};
use serde_json::json;

use crate::{
    clock,
    control::{Lines, Request},
    net::tcp,
    pki::Holder,
    roll::{self, CertificateRow, NewToken, Roll, TokenRow},
};

/// How a token is made.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Terms {
    /// How long the token is good: 90s, 30m, 24h or 7d. It is good once.
    #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "24h")]
    pub good_for: i64,
    /// How long the certificates are valid that come of it; they are renewed by themselves.
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "90d")]
    pub life: i64,
    /// Where the client finds us, host:port, written into the token.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

/// What is asked of those who are enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum EnrolledVerb {
    /// Print the certificates that were issued, JSON lines.
    List,
    /// Revoke a certificate, with those that it was renewed from and to; its connections end.
    Revoke {
        /// Its serial number, from the list.
        serial: String,
    },
}

impl EnrolledVerb {
    /// As a running daemon is asked.
    pub fn request(&self) -> Request {
        match self {
            Self::List => Request::new("enrolled list"),
            Self::Revoke { serial } => Request::new("enrolled revoke").with("serial", serial),
        }
    }
}

/// Asks a running daemon for a token.
pub fn request_new(name: &str, terms: &Terms) -> Request {
    let request = Request::new("token new").with("name", name).with("for_ms", &terms.good_for.to_string());
    let request = request.with("life_ms", &terms.life.to_string());
    terms.address.iter().fold(request, |request, address| request.with("address", address))
}

/// Reads 90s, 30m, 24h or 7d as milliseconds.
///
/// # Errors
/// The text is none of these.
pub fn span(text: &str) -> Result<i64, String> {
    let unit = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    let read = unit.into_iter().find_map(|(unit, ms)| {
        let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
        i64::from(count).checked_mul(ms)
    });
    read.filter(|ms| *ms > 0).ok_or_else(|| "a number and s, m, h or d, such as 24h".into())
}

/// Who answers for an authority.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The account.
    pub roll: &'a Roll,
    /// Whom a name stands for, or why it can be nobody's.
    pub holder: fn(&str) -> Result<Holder, String>,
    /// What the holder of a token runs, such as `nmsd-hub enroll`.
    pub enroll: &'static str,
}

impl Desk<'_> {
    /// Answers a request; none where it asks for something else.
    pub async fn answer(&self, request: &Request, lines: &Lines) -> Option<Result<(), String>> {
        Some(match request.verb.as_str() {
            "token new" => self.new_token(request, lines).await,
            "token list" => self.tokens(lines).await,
            "token revoke" => self.revoke_token(request, lines).await,
            "enrolled list" => self.enrolled(lines).await,
            "enrolled revoke" => self.revoke(request, lines).await,
            _ => return None,
        })
    }

    async fn new_token(&self, request: &Request, lines: &Lines) -> Result<(), String> {
        let number = |name: &str, usual: i64| match request.args.get(name) {
            Some(text) => text.parse().map_err(|_invalid| format!("{name} is no number: {text:?}")),
            None => Ok(usual),
        };
        let address = request.args.get("address").cloned();
        if let Some(address) = address.as_ref().filter(|address| !tcp::is_dialable(address)) {
            return Err(format!("{address} is no host:port that can be dialled"));
        }
        let holder = (self.holder)(request.arg("name")?)?;
        let (for_ms, life_ms) = (number("for_ms", TOKEN_MS)?, number("life_ms", CERTIFICATE_MS)?);
        let new = NewToken { holder, for_ms, life_ms, address };
        let made = self.roll.new_token(clock::unix_ms(), new).await;
        let (row, token) = made.map_err(|refusal| refusal.to_string())?;
        let id = roll::id_of(&token);
        log::info!("an enrolment token was made id={id} for={:?}", row.holder.to_string());
        lines.say(token.to_string()).await;
        let until = Stamp::utc(row.expires_ms);
        lines
            .say(format!("# token {id} for {}, good once until {until}; there: {} TOKEN", row.holder, self.enroll))
            .await;
        Ok(())
    }

    async fn tokens(&self, lines: &Lines) -> Result<(), String> {
        let now_ms = clock::unix_ms();
        for (id, row) in self.roll.tokens().map_err(|refusal| refusal.to_string())? {
            let line = json!({
                "id": id, row.holder.kind(): row.holder.name(), "state": token_state(&row, now_ms),
                "made": Stamp::utc(row.made_ms), "expires": Stamp::utc(row.expires_ms),
            });
            if !lines.say(line.to_string()).await {
                break;
            }
        }
        Ok(())
    }

    async fn revoke_token(&self, request: &Request, lines: &Lines) -> Result<(), String> {
        let id = request.arg("id")?;
        self.roll.revoke_token(clock::unix_ms(), id).await.map_err(|refusal| refusal.to_string())?;
        log::info!("an enrolment token was revoked id={id}");
        lines.say(format!("token {id} was revoked")).await;
        Ok(())
    }

    async fn enrolled(&self, lines: &Lines) -> Result<(), String> {
        let now_ms = clock::unix_ms();
        for (serial, row, is_live) in self.roll.certificates().map_err(|refusal| refusal.to_string())? {
            let line = json!({
                "serial": serial, row.holder.kind(): row.holder.name(), "host": row.host,
                "state": certificate_state(&row, is_live, now_ms), "first": row.lineage,
                "issued": Stamp::utc(row.made_ms), "expires": Stamp::utc(row.expires_ms),
            });
            if !lines.say(line.to_string()).await {
                break;
            }
        }
        Ok(())
    }

    async fn revoke(&self, request: &Request, lines: &Lines) -> Result<(), String> {
        let serial = request.arg("serial")?.parse()?;
        let revoked = self.roll.revoke(clock::unix_ms(), serial).await.map_err(|refusal| refusal.to_string())?;
        log::info!("certificates were revoked serial={serial} count={revoked}");
        lines.say(format!("certificate {serial} was revoked, {revoked} in all; connections of it end")).await;
        Ok(())
    }
}

fn token_state(row: &TokenRow, now_ms: i64) -> &'static str {
    match row {
        _ if row.used_ms.is_some() => "used",
        _ if row.revoked_ms.is_some() => "revoked",
        _ if now_ms >= row.expires_ms => "expired",
        _ => "good",
    }
}

fn certificate_state(row: &CertificateRow, is_live: bool, now_ms: i64) -> &'static str {
    match row {
        _ if row.revoked_ms.is_some() => "revoked",
        _ if now_ms >= row.expires_ms => "expired",
        _ if is_live => "connected",
        _ => "good",
    }
}
