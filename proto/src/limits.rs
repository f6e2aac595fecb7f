//! Every bound of the system, in one table, with its unit in its name.
//!
//! A bound that is reached is never silent: whoever holds it counts what it turned away, names the
//! cause, and the dashboard shows it. `docs/PROTOCOL.md` prints this table.

/// Longest frame payload towards the server and towards the hub, in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
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
/// Size at which a batch is closed, in bytes of its encoded events.
pub const BATCH_BYTES_CLOSE: usize = 256 << 10;
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

/// Sequence numbers that a spool reserves at a time for event ids.
pub const EVENT_IDS_RESERVED: u64 = 65_536;
/// Events an agent's spool holds.
pub const AGENT_SPOOL_EVENTS: u64 = 10_000;
/// Events a hub's spool holds.
pub const HUB_SPOOL_EVENTS: u64 = 1_000_000;
/// Bytes a hub's spool holds.
pub const HUB_SPOOL_BYTES: u64 = 512 << 20;
/// Fill at which sources that can wait are made to wait, and UDP starts to shed, in percent.
pub const SPOOL_PRESSURE_PERCENT: u64 = 80;
/// Fill at which UDP sheds notices too, in percent.
pub const SPOOL_SHED_NOTICE_PERCENT: u64 = 95;

/// Evidence entries kept with an alert.
pub const ALERT_EVIDENCE_MAX: usize = 20;
/// Reasons kept with an alert.
pub const ALERT_REASONS_MAX: usize = 16;
/// Alerts the hub keeps for the dashboard.
pub const HUB_ALERTS_CACHED: usize = 10_000;
/// Log lines the hub keeps for the dashboard.
pub const HUB_LINES_CACHED: usize = 50_000;
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
/// Tokens of a message that the miner compares.
pub const TEMPLATE_TOKENS_MAX: usize = 128;
/// Children of one node of the miner's tree, before a token counts as any.
pub const TEMPLATE_CHILDREN_MAX: usize = 100;
/// Windows that one tenant's analysis keeps; the one unused for longest is scored and forgotten.
pub const MODEL_WINDOWS_MAX: usize = 8_192;
/// Scores that the window cache keeps.
pub const MODEL_WINDOW_CACHE: usize = 16_384;
/// Masked lines whose reading the event cache keeps.
pub const MODEL_EVENT_CACHE: usize = 16_384;
/// Longest masked line that the event cache keeps, in bytes.
pub const MODEL_EVENT_CACHE_LINE_BYTES: usize = 512;
/// Largest model bundle that is loaded, in bytes.
pub const MODEL_BUNDLE_BYTES_MAX: usize = 64 << 20;
/// Tenants a server serves.
pub const TENANTS_MAX: usize = 4_096;
/// Sources a hub keeps separate counters for; later ones are counted together as `other`.
pub const SOURCES_MAX: usize = 16_384;
/// Memory of one tenant's analysis, in bytes.
pub const TENANT_MEMORY_BYTES: usize = 32 << 20;
/// Connections from one address.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;

const _: () = assert!(
    BATCH_BYTES_CLOSE + LINE_BYTES_MAX * 7 < FRAME_BYTES_MAX,
    "a closed batch and its last line, escaped, must fit a frame"
);
const _: () = assert!(BATCH_EVENTS_DEFAULT <= BATCH_EVENTS_MAX && BACKOFF_MIN_MS < BACKOFF_MAX_MS);
const _: () = assert!(MODEL_WINDOW_STRIDE <= MODEL_WINDOW_EVENTS && SPOOL_PRESSURE_PERCENT < SPOOL_SHED_NOTICE_PERCENT);
