//! Every bound of the system, in one table, with its unit in its name.
//!
//! A bound that is reached is never silent: whoever holds it counts what it turned away, names the
//! cause, and the dashboard shows it. `docs/PROTOCOL.md` prints this table.

/// Longest frame payload towards the server and towards the hub, in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Longest frame payload of a peer that is not registered yet, in bytes: a REGISTER, or a request to sign a certificate.
pub const REGISTER_BYTES_MAX: usize = 64 << 10;
/// Longest frame payload from the server, and on Unix sockets, in bytes.
pub const FRAME_REPLY_BYTES_MAX: usize = 4 << 20;
/// Deepest JSON nesting that is taken from a peer, in levels.
pub const JSON_DEPTH_MAX: usize = 32;
/// Longest syslog message, tailed line or journal entry, in bytes; the rest is skipped and counted.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Longest host, application or source name that is kept, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

/// Events in a batch when the receiver has not asked for more.
pub const BATCH_EVENTS_DEFAULT: usize = 64;
/// Most events in a batch, however high the rate.
pub const BATCH_EVENTS_MAX: usize = 1024;
/// Size that a batch does not grow beyond, in bytes of its encoded events; one group alone may be longer.
pub const BATCH_BYTES_CLOSE: usize = 256 << 10;
/// Longest content of a batch, in bytes: what is left of a frame is for its envelope and for `skipped`.
pub const BATCH_BYTES_MAX: usize = 960 << 10;
/// Age at which a batch is closed, in milliseconds after its first event.
pub const BATCH_AGE_MS: u64 = 10;
/// Batches that may be sent and not yet acknowledged.
pub const WINDOW_BATCHES: usize = 64;
/// Bytes that may be sent and not yet acknowledged.
pub const WINDOW_BYTES: usize = 4 << 20;
/// Batch hashes the receiver keeps for each instance, to refuse a number that is used twice.
pub const BATCH_HASHES_KEPT: usize = 1024;
/// Refusals with an error after which a batch goes to the sender's quarantine.
pub const BATCH_REFUSALS_MAX: u32 = 3;

/// Time between heartbeats, in milliseconds.
pub const HEARTBEAT_MS: u64 = 30_000;
/// Heartbeats without an answer that end a connection.
pub const HEARTBEATS_UNANSWERED_MAX: u32 = 3;
/// Time a peer has to register, in milliseconds.
pub const REGISTER_MS: u64 = 10_000;
/// First reconnect delay, in milliseconds; it doubles up to [`BACKOFF_MAX_MS`].
pub const BACKOFF_MIN_MS: u64 = 1_000;
/// Longest reconnect delay, in milliseconds.
pub const BACKOFF_MAX_MS: u64 = 300_000;
/// Time a connection must be active before the reconnect delay starts over, in milliseconds.
pub const BACKOFF_RESET_MS: u64 = 60_000;

/// Time to reach a peer, TLS included, in milliseconds.
pub const CONNECT_MS: u64 = 30_000;
/// Longest that a TLS handshake may take at the accepting side, in milliseconds.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Time the last words of a connection have to be written, in milliseconds.
pub const CLOSE_MS: u64 = 5_000;
/// Seconds between heartbeats that a peer may ask for.
pub const HEARTBEAT_S_RANGE: std::ops::RangeInclusive<u64> = 1..=300;

/// Milliseconds to wait after a SERVER_BUSY that names none.
pub const BUSY_RETRY_MS: u64 = 500;
/// Milliseconds that a SERVER_BUSY may ask to wait.
pub const BUSY_RETRY_MS_RANGE: std::ops::RangeInclusive<u64> = 100..=60_000;
/// What a SERVER_BUSY takes from the rate, and what quiet gives back, in percent of the full rate.
pub const RATE_STEP_PERCENT: u64 = 10;
/// Lowest rate, in percent of the full one.
pub const RATE_MIN_PERCENT: u64 = 10;
/// Time without a SERVER_BUSY after which the rate rises a step, in milliseconds.
pub const RATE_RISE_MS: u64 = 5_000;
/// What the full rate is taken for where less was measured, in bytes a second: what a small machine carries. A tenth of it
/// still drains what gathered while the receiver was busy.
pub const RATE_FULL_BYTES_S_MIN: u64 = 4 << 20;
/// Batches a second that a receiver aims at when it asks for longer ones.
pub const BATCHES_PER_S: u64 = 100;

/// Commands that may wait for an answer on one link.
pub const COMMANDS_WAITING_MAX: usize = 256;
/// RESULTS that may wait for one hub; the oldest goes first, counted.
pub const OUTBOX_RESULTS_MAX: usize = 4_096;
/// RESULTS that may be sent and not yet acknowledged.
pub const OUTBOX_WINDOW: usize = 16;
/// Time after which unacknowledged RESULTS are sent again on a live connection, in milliseconds.
pub const RESULTS_RESEND_MS: u64 = 30_000;
/// Causes and reasons counted apart for one source; later ones are counted together as `other`.
pub const CAUSES_MAX: usize = 32;

/// Sequence numbers that a spool reserves at a time for event ids.
pub const EVENT_IDS_RESERVED: u64 = 65_536;
/// Events an agent's spool holds.
pub const AGENT_SPOOL_EVENTS: u64 = 10_000;
/// Bytes an agent's spool holds.
pub const AGENT_SPOOL_BYTES: u64 = 64 << 20;
/// Bytes of the newest batches that an agent keeps in memory too.
pub const AGENT_SPOOL_MEMORY_BYTES: usize = 1 << 20;
/// Events a hub's spool holds.
pub const HUB_SPOOL_EVENTS: u64 = 1_000_000;
/// Bytes a hub's spool holds.
pub const HUB_SPOOL_BYTES: u64 = 512 << 20;
/// Least events that a spool may be set to hold: ten times what a source hands over at once.
pub const SPOOL_EVENTS_MIN: u64 = 10_000;
/// Least bytes that a spool may be set to hold.
pub const SPOOL_BYTES_MIN: u64 = 64 << 20;
/// Bytes of delivered batches that a hub keeps: the last log lines, and what correlators look at again after a restart.
pub const HUB_HISTORY_BYTES: u64 = 32 << 20;
/// How far back correlators look again after a restart, in milliseconds.
pub const CORRELATE_AGAIN_MS: i64 = 600_000;
/// Fill at which sources that can wait are made to wait, and UDP starts to shed, in percent.
pub const SPOOL_PRESSURE_PERCENT: u64 = 80;
/// Fill at which UDP sheds notices too, in percent.
pub const SPOOL_SHED_NOTICE_PERCENT: u64 = 95;
/// Bytes that a store's writer puts into one commit; a single larger change goes alone.
pub const STORE_GROUP_BYTES: usize = 1 << 20;
/// Bytes that may wait for a store's writer before intake is refused.
pub const STORE_QUEUE_BYTES: usize = 8 << 20;
/// As `STORE_QUEUE_BYTES`, for a spool: what it took is kept nowhere else, and must find room in the reserve.
pub const SPOOL_QUEUE_BYTES: usize = 2 << 20;
/// Bytes kept aside on the disk of a store, given up when the disk is full so that what a spool took still commits.
pub const STORE_RESERVE_BYTES: u64 = 8 << 20;
/// The part of it that is given up only for what makes room: data that waits must not use up what its own way out needs.
pub const STORE_RESERVE_LAST_BYTES: u64 = 512 << 10;
/// Batches kept in a sender's quarantine; the oldest goes, counted, when one more comes.
pub const QUARANTINE_BATCHES_MAX: u64 = 256;
/// Size at which a segment of the server's log is closed, in bytes of its entries.
pub const LOG_SEGMENT_BYTES: u64 = 1 << 30;
/// Longest value a store takes, in bytes.
pub const STORE_VALUE_BYTES_MAX: usize = 8 << 20;

/// Events that a collector hands over at once; a spool takes them whole or makes the collector wait.
pub const CHUNK_EVENTS_MAX: usize = 1_000;
/// Bytes read from a tailed file at a time.
pub const TAIL_READ_BYTES: usize = 256 << 10;
/// Files tailed at a time; later ones are not read, counted.
pub const TAIL_FILES_MAX: usize = 256;
/// Longest entry that `journalctl` may print, in bytes: a line of binary is printed as numbers.
pub const JOURNAL_JSON_BYTES_MAX: usize = 8 * LINE_BYTES_MAX;
/// Files in a file integrity baseline; later ones are not watched, counted.
pub const FIM_FILES_MAX: u64 = 500_000;
/// Folders watched for change notices at once; the rest is found by the periodic check, counted.
pub const FIM_WATCHES_MAX: usize = 65_536;
/// Longest file whose content is hashed, in bytes; of a longer one size and times are compared, counted.
pub const FIM_HASH_BYTES_MAX: u64 = 256 << 20;
/// Change notices that may wait to settle; more of them ask for a full check instead, counted.
pub const FIM_PENDING_MAX: usize = 16_384;
/// Deepest folder below an included one that is looked into, in levels; deeper ones are counted.
pub const FIM_DEPTH_MAX: usize = 64;
/// Users and reports that wait: named with a change, and queued behind one another.
pub const FIM_SESSIONS_MAX: usize = 16;

/// Evidence entries kept with an alert.
pub const ALERT_EVIDENCE_MAX: usize = 20;
/// Reasons kept with an alert.
pub const ALERT_REASONS_MAX: usize = 16;
/// Techniques kept with an alert.
pub const ALERT_TECHNIQUES_MAX: usize = 16;
/// Longest message, reason, key, actor, victim or line of evidence that the server keeps of a finding, in bytes.
pub const ALERT_TEXT_BYTES: usize = 1 << 10;
/// Steps kept of an alert's life, the last ones.
pub const ALERT_HISTORY_MAX: usize = 32;
/// Actors whose failures the correlators remember; the least suspicious are forgotten first.
pub const ACTORS_MAX: usize = 16_384;
/// Blocked flows (device, destination, port) whose rhythm the correlators follow.
pub const FLOWS_MAX: usize = 8_192;
/// Incidents open or resolved within the last day; resolved and mild ones are forgotten first.
pub const INCIDENTS_MAX: usize = 4_096;
/// Lines remembered to tell a copy that came by another way.
pub const COPIES_KEPT: usize = 8_192;
/// Changes of account files that wait for the line that explains them.
pub const CHANGES_HELD_MAX: usize = 1_024;
/// Longest log line that is kept as evidence, in bytes.
pub const EVIDENCE_LINE_BYTES: usize = 256;
/// Alerts the hub keeps for the dashboard.
pub const HUB_ALERTS_CACHED: usize = 10_000;
/// Malformed messages the hub keeps of a source.
pub const PARSE_ERROR_SAMPLES_MAX: usize = 20;
/// Bytes kept of a malformed message.
pub const PARSE_ERROR_SAMPLE_BYTES_MAX: usize = 256;
/// Log lines the hub keeps for the dashboard.
pub const HUB_LINES_CACHED: usize = 50_000;
/// Bytes of them, whatever their number.
pub const HUB_LINES_CACHED_BYTES: usize = 16 << 20;
/// Log lines the dashboard holds.
pub const DASH_LINES_HELD: usize = 200_000;
/// Memory of the log lines the dashboard holds, in bytes.
pub const DASH_LINES_BYTES_HELD: usize = 64 << 20;
/// Bytes of one text that the dashboard shows; the rest is counted at its end.
pub const DASH_TEXT_BYTES_MAX: usize = 8 << 10;
/// Events of one (source, family) that the model sees at once.
pub const MODEL_WINDOW_EVENTS: usize = 32;
/// New events after which a window is scored again.
pub const MODEL_WINDOW_STRIDE: usize = 16;
/// Quiet time after which a window that grew is scored, in milliseconds.
pub const MODEL_WINDOW_IDLE_MS: u64 = 2_000;
/// Bytes of a message that the scanner reads; masks, classes and words come from these.
pub const SCAN_BYTES_MAX: usize = 1 << 10;
/// Parameters of a message whose class and place are kept.
pub const SCAN_PARAMS_MAX: usize = 64;
/// Words of a message that are looked at.
pub const SCAN_WORDS_MAX: usize = 48;
/// Bytes of a word that are looked at.
pub const SCAN_WORD_BYTES_MAX: usize = 32;
/// Templates that one miner keeps; the one unused for longest is forgotten for a new one.
pub const TEMPLATES_MAX: usize = 4_096;
/// Memory of the templates that one miner keeps, in bytes, whatever their number.
pub const TEMPLATES_BYTES: usize = 5 << 20;
/// Tokens of a message that the miner compares.
pub const TEMPLATE_TOKENS_MAX: usize = 128;
/// Children of one node of the miner's tree, before a token counts as any.
pub const TEMPLATE_CHILDREN_MAX: usize = 100;
/// Windows that one tenant's analysis keeps; the one unused for longest is scored and forgotten.
pub const MODEL_WINDOWS_MAX: usize = 8_192;
/// Scores that the window cache keeps.
pub const MODEL_WINDOW_CACHE: usize = 16_384;
/// Largest model bundle that is loaded, in bytes.
pub const MODEL_BUNDLE_BYTES_MAX: usize = 64 << 20;
/// Hubs of one tenant whose numbers a server keeps in mind; the one unseen for longest gives way.
pub const HUBS_PER_TENANT_MAX: usize = 256;
/// Bytes of one tenant's batches that may wait for their commit; more is refused with SERVER_BUSY.
pub const TENANT_UNCOMMITTED_BYTES: usize = WINDOW_BYTES;
/// Bytes of one tenant's batches that may wait for analysis; more is refused with SERVER_BUSY.
pub const TENANT_BACKLOG_BYTES: usize = 16 << 20;
/// Bytes of batches that one analysis thread holds in memory; what is more is read from the log again.
pub const ANALYSIS_QUEUE_BYTES: usize = 16 << 20;
/// Unusual sequences that are followed for one tenant at a time.
pub const ANOMALIES_MAX: usize = 1_024;
/// Memory of the unusual sequences of one tenant that are followed, in bytes, whatever their number.
pub const TENANT_ANOMALIES_BYTES: usize = 3 << 20;
/// Alerts of one tenant that a server keeps; the oldest go, those that are over first.
pub const TENANT_ALERTS_MAX: usize = 50_000;
/// Memory of the alerts of one tenant whose last state is at hand, in bytes; others are looked up.
pub const TENANT_STANDINGS_BYTES: usize = 4 << 20;
/// Alerts in one RESULTS.
pub const RESULTS_ALERTS_MAX: usize = 32;
/// Tenants a server serves.
pub const TENANTS_MAX: usize = 4_096;
/// Sources a hub keeps separate counters for; later ones are counted together as `other`.
pub const SOURCES_MAX: usize = 16_384;
/// Sources and endpoints that a dashboard is sent; what is left out of the accounts is summed up as `other`.
pub const DASH_SOURCES_MAX: usize = 2_000;
/// Instances of agents that a hub keeps in memory; twice as many on disk. Those seen longest ago are forgotten.
pub const AGENT_INSTANCES_MAX: usize = 1_024;
/// Memory of one tenant's analysis, in bytes.
pub const TENANT_MEMORY_BYTES: usize = 32 << 20;
/// Connections from one address at one port; an IPv6 /64 is one address.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;
/// Connections at one port, whoever they are from; at more of them one that nobody has registered on gives way.
pub const CONNECTIONS_MAX: usize = 2_048;
/// New connections a second that one address is served at; those that come faster wait for their turn, counted.
pub const CONNECTIONS_PER_ADDRESS_S: u64 = 20;
/// New connections of one address that are served at once before the rate holds them.
pub const CONNECTIONS_BURST: u64 = 64;
/// Addresses whose rate is remembered at one port; those that may have a whole burst again are forgotten first.
pub const ADDRESSES_MAX: usize = 8_192;
/// Connections from one load balancer; those that it speaks for are bounded by their own addresses.
pub const CONNECTIONS_PER_BALANCER: usize = 4_096;
/// Longest PROXY header of a load balancer, in bytes.
pub const PROXY_HEADER_BYTES_MAX: usize = 1_024;
/// How long a certificate is valid that was issued to a hub or an agent, in milliseconds: 90 days.
pub const CERTIFICATE_MS: i64 = 7_776_000_000;
/// Shortest life that a certificate may be given, in milliseconds: less could not be renewed in time.
pub const CERTIFICATE_MS_MIN: i64 = 10_000;
/// How long before its making a certificate is valid, in milliseconds, for clocks that run behind.
pub const CERTIFICATE_BACKDATED_MS: i64 = 3_600_000;
/// Least part of its life that a certificate has left before it is renewed, in percent.
pub const CERTIFICATE_RENEW_PERCENT: i64 = 33;
/// Certificates that an authority keeps account of; those that expired go first.
pub const CERTIFICATES_MAX: usize = 16_384;
/// Longest request to sign a certificate, in bytes.
pub const CSR_BYTES_MAX: usize = 16_384;
/// How long an enrolment token is good for unless its maker says otherwise, in milliseconds: a day.
pub const TOKEN_MS: i64 = 86_400_000;
/// Longest that an enrolment token may be good for, in milliseconds: 30 days. Used and expired ones are remembered as long.
pub const TOKEN_MS_MAX: i64 = 2_592_000_000;
/// Enrolment tokens that an authority keeps account of, used and expired ones included.
pub const TOKENS_MAX: usize = 1_024;
/// Longest that enrolling may take, in milliseconds.
pub const ENROLL_MS: u64 = 30_000;

const _: () = assert!(
    LINE_BYTES_MAX * 6 * 2 + LINE_BYTES_MAX * 4 / 3 + NAME_BYTES_MAX * 6 * 8 < BATCH_BYTES_MAX,
    "the longest line, escaped, with its structured data, its bytes and its names, must fit a batch"
);
const _: () = assert!(BATCH_BYTES_CLOSE < BATCH_BYTES_MAX && BATCH_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(CSR_BYTES_MAX * 2 < REGISTER_BYTES_MAX && REGISTER_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(
    CONNECTIONS_PER_ADDRESS * 16 <= CONNECTIONS_MAX && CONNECTIONS_MAX < ADDRESSES_MAX,
    "one address must not fill a port, and a port not the table of addresses"
);
const _: () = assert!(BATCH_EVENTS_DEFAULT <= BATCH_EVENTS_MAX && BACKOFF_MIN_MS < BACKOFF_MAX_MS);
const _: () = assert!(MODEL_WINDOW_STRIDE <= MODEL_WINDOW_EVENTS && SPOOL_PRESSURE_PERCENT < SPOOL_SHED_NOTICE_PERCENT);
const _: () = assert!(
    CHUNK_EVENTS_MAX as u64 * 100 <= AGENT_SPOOL_EVENTS * (100 - SPOOL_PRESSURE_PERCENT),
    "a chunk must fit above the fill at which sources wait"
);
const _: () = assert!(SPOOL_EVENTS_MIN >= 10 * CHUNK_EVENTS_MAX as u64 && SPOOL_BYTES_MIN >= 16 * WINDOW_BYTES as u64);
const _: () = assert!(
    (2 * (STORE_GROUP_BYTES + SPOOL_QUEUE_BYTES)) as u64 + (1 << 20) < STORE_RESERVE_BYTES - STORE_RESERVE_LAST_BYTES,
    "what a spool took must fit into the reserve: a row takes up to twice its size, and pages are copied"
);
const _: () = assert!(AGENT_SPOOL_EVENTS >= SPOOL_EVENTS_MIN && AGENT_SPOOL_BYTES >= SPOOL_BYTES_MIN);
