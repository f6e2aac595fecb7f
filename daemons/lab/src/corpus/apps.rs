//! Applications without an extractor: people log in, work and leave, and the application talks of itself.

use super::ordinary::{SECOND_MS, local, moments};
use super::{App, Kind, Network, Params, Scribe};

/// An application's day: people use it, and it talks of itself.
pub(super) fn day(network: &Network, app: App, day: usize, weekend: bool, scribe: &mut Scribe) {
    for at in moments(network, day, app.uses * if weekend { 0.3 } else { 1.0 }, &mut scribe.random) {
        let Some(user) = scribe.random.pick(&network.users).cloned() else { return };
        let p = Params::new(network, &user.name, user.desk, &mut scribe.random);
        use_app(app, user.clumsy, at, &p, scribe);
    }
    for at in moments(network, day, 30.0, &mut scribe.random) {
        let p = Params::new(network, "-", app.host, &mut scribe.random);
        scribe.emit_app(at, app, Kind::AppNote, &p);
    }
    if scribe.random.chance(0.3) {
        let at = local(network, day, 200 + scribe.random.below(900) as i64);
        let p = Params::new(network, "root", app.host, &mut scribe.random);
        if scribe.random.chance(0.2) {
            scribe.emit_app(at - 900, app, Kind::AppServiceFailed, &p);
        }
        scribe.emit_app(at, app, Kind::AppService, &p);
    }
}

/// Logs in to an application with the failures of a clumsy hand; returns when the session stands.
pub(super) fn app_login(app: App, clumsy: f64, mut now: i64, p: &Params, scribe: &mut Scribe) -> i64 {
    while scribe.random.chance(clumsy) {
        scribe.emit_app(now, app, Kind::AppLoginFailed, p);
        now += scribe.random.between(3_000, 15_000) as i64;
    }
    scribe.emit_app(now, app, Kind::AppLoginOk, p);
    now + 500
}

fn use_app(app: App, clumsy: f64, at: i64, p: &Params, scribe: &mut Scribe) {
    let mut now = app_login(app, clumsy, at, p, scribe);
    for _ in 0..scribe.random.between(1, 6) {
        let does = [
            (Kind::AppRequest, 6.0),
            (Kind::AppRequestFailed, 0.5),
            (Kind::AppFile, 1.5),
            (Kind::AppCommand, 0.8),
            (Kind::AppConnection, 1.0),
            (Kind::AppConnectionFailed, 0.2),
            (Kind::AppProcess, 0.5),
            (Kind::AppAccount, 0.1),
            (Kind::AppLease, 0.3),
            (Kind::AppBlock, 0.4),
        ];
        let choice = scribe.random.weighted(&does.map(|(_, weight)| weight));
        let kind = does.get(choice).map_or(Kind::AppRequest, |(kind, _)| *kind);
        scribe.emit_app(now, app, kind, p);
        now += (scribe.random.exponential(30.0) * SECOND_MS as f64) as i64;
    }
    if scribe.random.chance(0.8) {
        scribe.emit_app(now, app, Kind::AppLogout, p);
    }
}
