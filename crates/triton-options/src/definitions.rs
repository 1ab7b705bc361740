//! The option catalog: every option of a model, defined once.
//!
//! One entry below makes the constant, the place in [`CATALOG`], the field of [`OptionValues`]
//! and the parser for it. The doc comment is the option's text everywhere: in rustdoc, in the
//! generated pages and on the command line.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::option_reader::OptionReader;
use crate::{
    AbandonedSequence, BearerToken, ColumnNames, Compression, ConfigOption, CounterInitStrategy,
    Decoupled, DnsName, EndpointDiscovery, Endpoints, FilePath, Fraction, Headers, MaxInFlight,
    MemoryLimit, MemorySize, ModelName, ModelVersion, NameMap, OnError, OptionDefinition,
    OptionValue, PositiveDuration, Presence, ProxyAddress, ReplayOverflow, Section,
    SequenceAffinity, SequenceIdScope, SequenceIdType, SequenceModelVersion, SequenceRecovery,
    TensorFormat, UnknownKey,
};

macro_rules! define_options {
    ($(
        $(#[doc = $text:literal])+
        $section:ident $constant:ident = $key:literal as $field:ident: $type:ty,
        $presence:ident $($default:literal)?
        $(, with key $with_key:literal)? $(, in predict $in_predict:literal)?;
    )+) => {
        $(
            $(#[doc = $text])+
            pub const $constant: ConfigOption<$type> = ConfigOption::new(OptionDefinition {
                key: $key,
                section: Section::$section,
                presence: define_options!(@presence $presence $($default)?),
                with_sequence_key: define_options!(@other $($with_key)?),
                in_predict: define_options!(@other $($in_predict)?),
                type_name: <$type as OptionValue>::TYPE_NAME,
                field: stringify!($field),
                is_file: <$type as OptionValue>::IS_FILE,
                unit_in_flink: <$type as OptionValue>::UNIT_IN_FLINK,
                expected: <$type as OptionValue>::EXPECTED,
                text: concat!($($text, "\n"),+),
                canonical: |text| <$type as OptionValue>::parse(text).map(|value| value.canonical()),
                loggable: <$type as OptionValue>::loggable,
            });
        )+

        /// Every option, in the order of its definition.
        pub static CATALOG: &[&OptionDefinition] = &[$($constant.definition()),+];

        /// The typed values of all options.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct OptionValues {
            $( $(#[doc = $text])+ pub $field: define_options!(@field $presence $type), )+
        }

        impl OptionValues {
            /// Every option in the order of its definition, with its value as text: defaults
            /// included, secrets hidden, `None` where there is no value.
            pub fn entries(&self) -> impl Iterator<Item = (&'static OptionDefinition, Option<String>)> {
                [$( ($constant.definition(), define_options!(@canonical $presence self.$field)), )+]
                    .into_iter()
            }
        }

        /// The options as far as they could be read: `None` stands where an error was recorded.
        pub(crate) struct ReadValues {
            $( pub(crate) $field: Option<define_options!(@field $presence $type)>, )+
        }

        impl ReadValues {
            pub(crate) fn read(reader: &mut OptionReader<'_>) -> Self {
                Self { $( $field: define_options!(@read $presence reader $constant), )+ }
            }

            pub(crate) fn complete(self) -> Option<OptionValues> {
                Some(OptionValues { $( $field: self.$field?, )+ })
            }
        }
    };
    (@other) => { None };
    (@other $text:literal) => { Some($text) };
    (@presence required) => { Presence::Required };
    (@presence optional) => { Presence::Optional };
    (@presence default $text:literal) => { Presence::Default($text) };
    (@field optional $type:ty) => { Option<$type> };
    (@field $presence:ident $type:ty) => { $type };
    (@canonical optional $value:expr) => { $value.as_ref().map(OptionValue::canonical) };
    (@canonical $presence:ident $value:expr) => { Some($value.canonical()) };
    (@read optional $reader:ident $constant:ident) => { $reader.optional(&$constant) };
    (@read $presence:ident $reader:ident $constant:ident) => { $reader.value(&$constant) };
}

define_options! {
    /// Address of the Triton server: `http://` or `https://`, host and port. A bare
    /// `host:port` and an address that ends in `/v2` or `/v2/models` name the same server.
    /// User name and password in the address are sent as basic authentication and never shown.
    /// The `triton` command also takes `embedded` and then starts a small server of its own.
    /// Several addresses, separated by commas, are replicas: servers that answer alike, over which
    /// rows are spread, and of which each may be away.
    Common ENDPOINT = "endpoint" as endpoint: Endpoints, required;

    /// Name of the model on the server, as `POST /v2/repository/index` lists it.
    Common MODEL_NAME = "model-name" as model_name: ModelName, required;

    /// Version of the model that answers: a version number, or `latest` to leave the choice to
    /// the model's
    /// [version policy](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html#version-policy)
    /// on the server. A number keeps answers comparable while a new version is rolled out.
    Common MODEL_VERSION = "model-version" as model_version: ModelVersion, default "latest";

    /// The longest time one call to the server may take, from connecting until the whole answer
    /// is read. The server is not told and may finish the work all the same, unless
    /// `server-timeout` ends it. Raise it for models that are slow or wait long in a queue.
    /// `row-deadline` bounds a row with all its calls.
    Common TIMEOUT = "timeout" as timeout: PositiveDuration, default "30 s";

    /// Where the servers of `endpoint` are found. `static` takes the addresses as they are. `dns` takes
    /// one address and looks its host up: each IP address that the name has, as a headless service of
    /// Kubernetes has one for every pod, is a replica, and is called by the same name in the header
    /// `Host` and in TLS. The name is looked up again every `endpoint-refresh`.
    Advanced ENDPOINT_DISCOVERY = "endpoint-discovery" as endpoint_discovery: EndpointDiscovery, default "static";

    /// How often each of several replicas is asked whether it and the model are ready, and how often
    /// the name is looked up where `endpoint-discovery` is `dns`. A replica that fails is asked at
    /// once. A shorter time notices changes sooner and costs the servers more requests: each process
    /// asks each replica once in this time, however many subtasks it has.
    Advanced ENDPOINT_REFRESH = "endpoint-refresh" as endpoint_refresh: PositiveDuration, default "10 s";

    /// How long a replica that is no longer ready, or no longer among the addresses of the name, keeps
    /// the sequences that it has, as long as it answers them. It gets no new ones. When the time is
    /// over, sequences move to other replicas where `sequence-recovery` is `replay`.
    Advanced ENDPOINT_DRAIN = "endpoint-drain" as endpoint_drain: Duration, default "30 s";

    /// Drops a leading dimension of 1 from array inputs, so that an array of shape `[1, N]` is
    /// sent as `[N]`. For tables whose arrays carry a batch dimension that the model lacks.
    Advanced FLATTEN_BATCH_DIM = "flatten-batch-dim" as flatten_batch_dim: bool, default "false";

    /// Priority of every request among those that wait in the model's queue: 1 is the highest,
    /// larger numbers come later, 0 is the level that the model's configuration names. Flink's own
    /// documentation of such an option has the order the other way round; the server's is this one.
    /// Only models with
    /// [priority levels](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/batcher.html#priority-levels)
    /// heed it; the server treats a level the model lacks like 0.
    Advanced PRIORITY = "priority" as priority: u64, optional;

    /// How long a request may wait in the model's queue on the server, which then drops it and
    /// answers 503, so that nobody works for a caller who has given up. What has begun to execute
    /// goes on to its end. It is sent with every request, in microseconds, and only models heed it
    /// whose
    /// [queue policy](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/batcher.html#queue-policy)
    /// has `allow_timeout_override`. Best a little shorter than `timeout`.
    Advanced SERVER_TIMEOUT = "server-timeout" as server_timeout: PositiveDuration, optional;

    /// The longest time that one row may take with all its attempts, replays and waits: for others
    /// that go before it, for a connection, for a place on the server. `timeout` bounds one request;
    /// where less time is left to its row, that request is cut short. A row that is too late fails
    /// and says what it waited for. Without it, attempts and waits are bounded by their number.
    Advanced ROW_DEADLINE = "row-deadline" as row_deadline: PositiveDuration, optional;

    /// ID of the sequence that requests to a
    /// [stateful model](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/architecture.html#stateful-models)
    /// belong to; the model keeps one state for each ID. Sent as a string of at most 128 bytes,
    /// or, where `sequence-id-type` says so, as the number that its digits are. With
    /// `sequence-id-auto-increment` it is what every generated ID begins with, and may have at most
    /// 96 bytes, or 69 where `sequence-id-scope` is `run`.
    Advanced SEQUENCE_ID = "sequence-id" as sequence_id: String, optional;

    /// Gives every request a sequence ID of its own, `{sequence-id}-{subtask-index}-{counter}`,
    /// so that parallel subtasks never share the state of a model; with `sequence-key`, every
    /// sequence of a key. The counter starts over whenever a subtask is opened, where
    /// `sequence-id-counter-init-strategy` says. Needs `sequence-id`.
    Advanced SEQUENCE_ID_AUTO_INCREMENT = "sequence-id-auto-increment" as sequence_id_auto_increment: bool, default "false";

    /// Where the counter of generated sequence IDs begins when a subtask is opened. `ZERO` makes
    /// a restarted subtask repeat the IDs of its predecessor, which is safe where each request
    /// starts its sequence again. `EPOCH_MILLIS` and `NANO_TIME` begin at the wall-clock time
    /// since 1970, in milliseconds or nanoseconds, so that a restart goes on above the IDs used
    /// before, on another machine too, as long as clocks are not set back; with `EPOCH_MILLIS`
    /// also only as long as a subtask sends fewer than 1000 requests a second.
    Advanced SEQUENCE_ID_COUNTER_INIT_STRATEGY = "sequence-id-counter-init-strategy" as sequence_id_counter_init_strategy: CounterInitStrategy, default "ZERO";

    /// What generated sequence IDs are unique within. With `subtask` a restarted or resubmitted
    /// job repeats the IDs of the run before. With `run` they are
    /// `{sequence-id}-{run}-{subtask-index}-{counter}`, where the run is told apart from every
    /// other by a digest of the engine's job, operator, execution and attempt, or, where the engine
    /// does not tell all of them, by a UUID of version 7 taken whenever a subtask is opened: no
    /// restart, rescaling, takeover, second job or clock that is set back repeats them.
    /// Sequences of a `sequence-key` are open for long, and one whose ID comes again would lose
    /// its state or mix with another: without a value it is `run` there, and `subtask` elsewhere.
    Advanced SEQUENCE_ID_SCOPE = "sequence-id-scope" as sequence_id_scope: SequenceIdScope, default "subtask", with key "run";

    /// How sequence IDs are sent. `auto` asks the server when it opens: IDs are numbers where the
    /// model has them handed over by a numeric control input (`CONTROL_SEQUENCE_CORRID`), and where
    /// Triton is older than 2.45, which takes no text for models in Python; elsewhere they are text.
    /// `text` and `number` say it, and are refused where the model would see something else than was
    /// sent. Numbers are made from the same parts as the text: within a run no two are equal.
    Advanced SEQUENCE_ID_TYPE = "sequence-id-type" as sequence_id_type: SequenceIdType, default "auto";

    /// The input columns whose values tell one entity from another: a call, a sensor, a vehicle.
    /// Each distinct key within a subtask then has a sequence of its own, whose rows are sent one
    /// after the other, in the order of their arrival; different keys go side by side. Several
    /// columns are separated by semicolons; a name with one, or with a comma, stands in quotes. A
    /// key column is sent to the model only if the model has an input tensor of its name. Needs
    /// `sequence-id-auto-increment`; all rows of a key must reach the same subtask.
    Advanced SEQUENCE_KEY = "sequence-key" as sequence_key: ColumnNames, optional;

    /// A BOOLEAN input column that is true in the last row of a sequence; the next row of that key
    /// starts a new one. NULL counts as false.
    Advanced SEQUENCE_END_COLUMN = "sequence-end-column" as sequence_end_column: String, optional;

    /// The most rows of a sequence: the row of this number ends it, and the next row of its key
    /// starts a new one.
    Advanced SEQUENCE_MAX_LENGTH = "sequence-max-length" as sequence_max_length: NonZeroU32, optional;

    /// How long a key may be without a row before its sequence counts as over, so that its next
    /// row starts a new one. Time in which the server keeps rows waiting does not count. It must
    /// be shorter than the `max_sequence_idle_microseconds` of the model, of which three quarters
    /// are taken where nothing is given. Bounded input, such as a file, knows no such time unless
    /// it is given.
    Advanced SEQUENCE_IDLE_TIMEOUT = "sequence-idle-timeout" as sequence_idle_timeout: PositiveDuration, optional;

    /// An input column with the number of the row among the rows of its key, from 1 on, as
    /// `COUNT(*)` over a window of the key gives it. Row 1 starts a sequence; every other one must
    /// follow the row before it. Where it does not, rows went elsewhere (to an attempt before a
    /// failover, or to another subtask) or came in another order, and the sequence counts as lost,
    /// for `sequence-recovery` to deal with. Time then ends no sequence.
    Advanced SEQUENCE_POSITION_COLUMN = "sequence-position-column" as sequence_position_column: String, optional;

    /// For every input column that is no key the ARRAY column with its values in the rows of the
    /// key so far, this row's value last, as `ARRAY_AGG` over a window of the key gives them:
    /// `reading:readings`. A lost sequence is then replayed from the row that comes next, in
    /// another attempt or subtask, too, and no rows are kept in memory for it. The arrays must
    /// reach back to the beginning of the sequence. Unless `sequence-position-column` is given,
    /// their length is the row's number. Needs `sequence-recovery` to be `replay`.
    Advanced SEQUENCE_HISTORY_COLUMNS = "sequence-history-columns" as sequence_history_columns: NameMap, optional;

    /// The most sequences that a subtask has open at once; further keys wait for one to end.
    /// Where nothing is given, the subtasks share what the model can keep: its
    /// `max_candidate_sequences`, or its number of slots with the direct strategy. An eighth of
    /// that, at most `max-in-flight`, is then left for sequences that are recovered, because a lost
    /// one keeps its place beside the new one for a while. The server itself would hold further
    /// sequences back without any limit or error.
    Advanced SEQUENCE_MAX_OPEN = "sequence-max-open" as sequence_max_open: NonZeroU32, optional;

    /// To which of several replicas a new sequence of a key goes, where it then stays. `balance` takes
    /// the one with the most free places for sequences of the model. `hash` takes the one that a hash of
    /// the key names (rendezvous hashing), in every process the same, as long as it has a place.
    Advanced SEQUENCE_AFFINITY = "sequence-affinity" as sequence_affinity: SequenceAffinity, default "balance";

    /// Which version of the model the rows of a sequence go to that was begun before another one was
    /// loaded, where `model-version` is `latest`. `move` sends them to the newest one, which does not
    /// know the sequence: it is lost, and recovered there. `stay` sends them to the version that
    /// answered its first row, as long as the server has it loaded; then the sequence is lost, too.
    Advanced SEQUENCE_MODEL_VERSION = "sequence-model-version" as sequence_model_version: SequenceModelVersion, default "move";

    /// What is done when the server has lost the state of a sequence, or may have corrupted it: it
    /// has idled out, the model was reloaded, the server restarted, a request failed and may have
    /// been executed. `fail` fails the row that met it. `restart` starts a new sequence with that
    /// row. `replay` sends the rows of the sequence so far again, in a new sequence, drops their
    /// answers and goes on as if nothing had happened. The old sequence ID is never used again.
    Advanced SEQUENCE_RECOVERY = "sequence-recovery" as sequence_recovery: SequenceRecovery, default "fail", in predict "replay";

    /// The most rows of a sequence that are kept for a replay.
    Advanced SEQUENCE_REPLAY_LIMIT = "sequence-replay-limit" as sequence_replay_limit: NonZeroU32, default "1000", in predict "100000";

    /// The most bytes of tensors of a sequence that are kept for a replay.
    Advanced SEQUENCE_REPLAY_MAX_BYTES = "sequence-replay-max-bytes" as sequence_replay_max_bytes: NonZeroU32, default "1048576", in predict "8388608";

    /// What is done with a sequence that would have to be replayed and has more rows or bytes than
    /// are kept: `fail` or `restart`, as `sequence-recovery` describes them.
    Advanced SEQUENCE_REPLAY_OVERFLOW = "sequence-replay-overflow" as sequence_replay_overflow: ReplayOverflow, default "fail";

    /// Compares the answers of a replay with those that were given before, by a digest kept for
    /// each row. A model that answers differently fails the row: its state cannot be rebuilt. For
    /// models whose answers depend on nothing but the rows of the sequence.
    Advanced SEQUENCE_REPLAY_COMPARE = "sequence-replay-compare" as sequence_replay_compare: bool, default "false";

    /// What the first row of a key is that this subtask has not seen, where no column says which
    /// row it is. The key may have had rows in an earlier run of the job, whose state is gone.
    /// `auto` marks the row in the output column `sequence_restarted` where an engine gives the
    /// function no state and anything shows that the job has run before: an attempt above 0, or an
    /// earlier execution of the job seen in this process. `mark` marks it always, which is what
    /// to set where jobs are restored from savepoints. `new` takes every such key for a new one.
    Advanced SEQUENCE_UNKNOWN_KEY = "sequence-unknown-key" as sequence_unknown_key: UnknownKey, default "auto";

    /// What happens to a sequence that is left before its end, because it was lost, fell idle or
    /// started over. With `wait` it keeps its place on the server until the server's idle limit
    /// frees it. `end` sends at most one END for it, so that the place is free as soon as that is
    /// answered; the request has the tensors of the last row, and the model executes it.
    Advanced SEQUENCE_ABANDON = "sequence-abandon" as sequence_abandon: AbandonedSequence, default "wait";

    /// How many keys are remembered whose sequence was lost before anybody was told. Once one of
    /// them has been dropped, the first row of every key that is not known begins marked in the
    /// output column `sequence_restarted`.
    Advanced SEQUENCE_MAX_LOST = "sequence-max-lost" as sequence_max_lost: NonZeroU32, default "100000";

    /// Shows a digest in place of each key in logs and errors, for keys that others must not
    /// read. Equal keys have equal digests within a run.
    Advanced SEQUENCE_KEY_REDACTED = "sequence-key-redacted" as sequence_key_redacted: bool, default "false";

    /// Marks every request as the first one of its sequence: the model forgets what it knew of
    /// the ID. Where neither this nor `sequence-end` is given, the first row after each opening of
    /// the function starts the sequence; where only the other one is, this counts as false. With
    /// `sequence-id-auto-increment` it counts as true unless given, and cannot be set to false,
    /// because the server refuses a new ID that does not start. With `sequence-key` it cannot be
    /// given: the first row of each sequence is marked.
    Advanced SEQUENCE_START = "sequence-start" as sequence_start: bool, optional;

    /// Marks every request as the last one of its sequence: the server frees the place of the ID.
    /// Unless given it counts as false. With `sequence-id-auto-increment` it counts as true unless
    /// given, and cannot be set to false, because each ID is used once and would hold its place
    /// until it idles out. With `sequence-key` it cannot be given: the last row of each sequence is
    /// marked.
    Advanced SEQUENCE_END = "sequence-end" as sequence_end: bool, optional;

    /// Compresses the bodies of inference requests. It saves bandwidth on slow links and costs
    /// time on both sides; on a fast network leave it out. The server takes it for inference
    /// only, so other calls are never compressed.
    Advanced COMPRESSION = "compression" as compression: Compression, optional;

    /// The form in which tensors travel. `auto` is the binary form where the server has it, which
    /// it is asked once, and JSON where it has not. `binary` asks nothing. `json` can be read on the
    /// way, and costs both sides many times the work; FP16 and BF16 cannot travel so.
    Advanced TENSOR_FORMAT = "tensor-format" as tensor_format: TensorFormat, default "auto";

    /// The most bytes that the answer to one call may have, after decompression; outputs that come
    /// as JSON take up to five times as much memory. A larger one fails the call.
    Advanced RESPONSE_LIMIT = "response-limit" as response_limit: MemorySize, default "256 mb";

    /// Token sent as `Authorization: Bearer` with every call, for servers behind a gateway that
    /// asks for one; a leading `Bearer` may stand there or not. It appears in no log and no error.
    /// Use `https` wherever others can listen.
    Advanced AUTH_TOKEN = "auth-token" as auth_token: BearerToken, optional;

    /// File that holds the token of `auth-token`, for tokens that expire, as those of Kubernetes
    /// do: it is read again when it has changed, and when the server refuses the token (401); the
    /// call is then made once more. A file that cannot be read any more leaves the last token in
    /// use.
    Advanced AUTH_TOKEN_FILE = "auth-token-file" as auth_token_file: FilePath, optional;

    /// PEM file of the certificate authorities that are trusted, in place of the system's: for a
    /// server whose certificate comes from a company's own authority. It is read when a function is
    /// opened, as the other files of TLS are.
    Advanced TLS_CA_FILE = "tls-ca-file" as tls_ca_file: FilePath, optional;

    /// PEM file of the certificate that is shown to a server which asks its clients for one, with
    /// the chain up to its authority. Needs `tls-key-file`.
    Advanced TLS_CERTIFICATE_FILE = "tls-certificate-file" as tls_certificate_file: FilePath, optional;

    /// PEM file of the private key of `tls-certificate-file`, without a passphrase. Both may be the
    /// same file.
    Advanced TLS_KEY_FILE = "tls-key-file" as tls_key_file: FilePath, optional;

    /// DNS name that the server's certificate bears, where it is not the host of `endpoint`: for a
    /// server that is reached by its IP address or through a tunnel.
    Advanced TLS_SERVER_NAME = "tls-server-name" as tls_server_name: DnsName, optional;

    /// Address of a proxy that all calls go through, such as `http://proxy:3128`; an `https`
    /// endpoint is reached through it by `CONNECT`. A proxy of SOCKS 5 is `socks5://`, or `socks5h://`
    /// where it is to look up the server's name. User name and password in the address are never
    /// shown. Variables of the environment such as `HTTPS_PROXY` are not heeded.
    Advanced PROXY = "proxy" as proxy: ProxyAddress, optional;

    /// Further HTTP headers for every call, as `X-A:1,X-B:2`; a value with commas stands in
    /// single or double quotes. Values appear in no log and no error. Headers that describe the
    /// body or the connection belong to the client and are refused; `Host` is not, because some
    /// gateways find the service by it.
    Advanced CUSTOM_HEADERS = "custom-headers" as custom_headers: Headers, optional;

    /// Names of input tensors where they differ from the columns', as
    /// `column:TENSOR,other:TENSOR`. Columns that are not named here match the tensor of their
    /// own name.
    Advanced INPUT_NAMES = "input-names" as input_names: NameMap, optional;

    /// Names of output tensors where they differ from the columns', as `column:TENSOR`. Columns
    /// that are not named here match the tensor of their own name.
    Advanced OUTPUT_NAMES = "output-names" as output_names: NameMap, optional;

    /// What is done with a decoupled model, which answers a request any number of times. `refuse`
    /// refuses it at the start. `stream` asks with `generate_stream`, one request for each row, and
    /// makes an output row of each answer: in order, with its number in the output column
    /// `prediction_index`, and `prediction_last` true in the last one. A model that is not decoupled
    /// then gives one. Requests and answers are plain JSON, which carries no FP16, BF16 or BYTES,
    /// and no shape but one that follows from the number of elements. `timeout` bounds the wait for
    /// each answer and not the stream, which `row-deadline` can bound.
    Advanced DECOUPLED = "decoupled" as decoupled: Decoupled, default "refuse";

    /// The most rows in one request to a stateless model, within the model's own
    /// `max_batch_size`. Larger batches raise the throughput of small models many times over and
    /// cost latency. Stateful models always get one row per request.
    Advanced BATCH_SIZE = "batch-size" as batch_size: NonZeroU32, default "1";

    /// The most rows that a request to the model may carry, where the server keeps no configuration
    /// that says so, as MLServer, KServe's own server and OpenVINO Model Server keep none: what
    /// `max_batch_size` is on Triton. A row is then an entry of each tensor's first dimension. 0 says
    /// that tensors have no dimension for rows. Without it a request carries one row, and the shapes
    /// that the server tells decide whether there is such a dimension. Refused where it differs from
    /// the server's own configuration.
    Advanced MODEL_MAX_BATCH_SIZE = "model-max-batch-size" as model_max_batch_size: u32, optional;

    /// How long the first row of a batch may wait for others to join it. With zero, a batch takes
    /// the rows that wait already and leaves at once.
    Advanced BATCH_TIMEOUT = "batch-timeout" as batch_timeout: Duration, default "0 ms";

    /// The most requests that a subtask has in flight at once; further rows wait. Requests of a
    /// sequence that every row shares always go one after the other. `auto` finds the number that
    /// the server can bear, between 1 and 256: one more while all are in use, a tenth fewer when the
    /// server is too busy (429, 503, a full queue, a timeout) or answers take twice as long as they
    /// need.
    Advanced MAX_IN_FLIGHT = "max-in-flight" as max_in_flight: MaxInFlight, default "32";

    /// Remembers answers of a stateless model that always answers equal rows alike, in as many bytes
    /// of memory for each subtask: a row whose inputs equal those of a row that is in flight or was
    /// answered lately is not sent. What was used least lately is forgotten first, and failures are
    /// never kept. Without it, or with 0, every row is sent. Refused together with `sequence-id`.
    Advanced CACHE_MAX_BYTES = "cache-max-bytes" as cache_max_bytes: MemoryLimit, optional;

    /// How long opening a function waits for a server that cannot be reached or is not ready.
    /// With zero it fails at once. What the server refuses is never waited for.
    Advanced OPEN_WAIT = "open-wait" as open_wait: Duration, default "0 ms";

    /// Asks the server at intervals, in the background, whether it and the model are ready, and
    /// tells the circuit breaker. Of little use without `circuit-breaker-enabled`.
    Advanced HEALTH_CHECK_ENABLED = "health-check-enabled" as health_check_enabled: bool, default "false";

    /// Time between two health checks. A shorter one notices a failure sooner and costs the
    /// server more requests.
    Advanced HEALTH_CHECK_INTERVAL = "health-check-interval" as health_check_interval: PositiveDuration, default "30 s";

    /// Fails rows at once, without sending them, while the server is known to be failing. The
    /// breaker counts rows, not attempts, and is shared by all subtasks of a process that call
    /// the same model at the same endpoint. Faults of a row itself do not count.
    Advanced CIRCUIT_BREAKER_ENABLED = "circuit-breaker-enabled" as circuit_breaker_enabled: bool, default "false";

    /// The share of failed calls, among the recent ones and at least 10 of them, at which the
    /// circuit breaker opens.
    Advanced CIRCUIT_BREAKER_FAILURE_THRESHOLD = "circuit-breaker-failure-threshold" as circuit_breaker_failure_threshold: Fraction, default "0.5";

    /// How long the circuit breaker stays open before it lets calls through on trial.
    Advanced CIRCUIT_BREAKER_TIMEOUT = "circuit-breaker-timeout" as circuit_breaker_timeout: PositiveDuration, default "1 min";

    /// How many calls on trial must succeed, and may run at once, before the circuit breaker
    /// closes; the first that fails opens it again.
    Advanced CIRCUIT_BREAKER_HALF_OPEN_REQUESTS = "circuit-breaker-half-open-requests" as circuit_breaker_half_open_requests: NonZeroU32, default "3";

    /// How often a call that failed for a passing reason is sent again: an unreachable or
    /// overloaded server. Never sent again are calls that the server refused, and calls within a
    /// sequence that it may have executed already, because it would count them twice.
    Advanced MAX_RETRIES = "max-retries" as max_retries: u32, default "0", in predict "10";

    /// How many retries a function, which is one opening in one subtask, may spend before answers
    /// have earned further ones; a failure is then final, so that a failing server is not hit with
    /// the retries of every row. A retry takes 1, after a timeout 2; a call that is answered at once
    /// gives back a fifth, one that was sent again what its last retry took. Where rows can wait for
    /// the server, retries beyond it are not refused but wait for `retry-max-backoff`. 0 means no
    /// limit. Without a value it lets `max-in-flight` calls use up all their `max-retries` once, and
    /// is at least 100.
    Advanced RETRY_BUDGET = "retry-budget" as retry_budget: u32, optional;

    /// The wait before the first retry; it doubles from one retry to the next, and a random half
    /// of it keeps subtasks from returning in step.
    Advanced RETRY_INITIAL_BACKOFF = "retry-initial-backoff" as retry_initial_backoff: PositiveDuration, default "100 ms";

    /// The longest wait between two retries.
    Advanced RETRY_MAX_BACKOFF = "retry-max-backoff" as retry_max_backoff: PositiveDuration, default "30 s";

    /// What happens to a row that cannot be answered, because it is bad or its last attempt failed.
    /// `fail` makes it an error. `default` answers it with `default-value`, and is meant wherever
    /// that is set. `column` answers it with NULL in the columns of the model, while an output
    /// column `prediction_status` or `prediction_error`, of which there must be one, says why.
    Advanced ON_ERROR = "on-error" as on_error: OnError, default "fail";

    /// The answer to a row that cannot be answered, in place of an error: a text, a number, `true`
    /// or `false`, a JSON array, or `null` for SQL NULL. For several output columns of the model it
    /// is a JSON object with a value for each of them, such as `{"score": 0, "label": null}`, or
    /// `null` for all. It must fit the types of the columns, which is checked at the start. Every
    /// use is counted, and the log names one every few seconds.
    Advanced DEFAULT_VALUE = "default-value" as default_value: String, optional;

    /// The longest time to wait for a connection, within `timeout`.
    Advanced CONNECTION_TIMEOUT = "connection-timeout" as connection_timeout: PositiveDuration, default "10 s";

    /// The most connections without a call that are kept for later ones.
    Advanced CONNECTION_POOL_MAX_IDLE = "connection-pool-max-idle" as connection_pool_max_idle: u32, default "20";

    /// How long a connection without a call is kept. Keep it below the limit of any gateway in
    /// between, which closes idle connections without a word.
    Advanced CONNECTION_POOL_KEEP_ALIVE = "connection-pool-keep-alive" as connection_pool_keep_alive: PositiveDuration, default "5 min";

    /// The most calls in flight at once, and so the most connections; further ones wait. All
    /// subtasks of a process that share a client count together.
    Advanced CONNECTION_POOL_MAX_TOTAL = "connection-pool-max-total" as connection_pool_max_total: NonZeroU32, default "100";

    /// Keeps connections open from one call to the next. Without it every call opens its own,
    /// which is slow, but spreads calls over the replicas behind a balancer.
    Advanced CONNECTION_REUSE_ENABLED = "connection-reuse-enabled" as connection_reuse_enabled: bool, default "true";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Piece;

    #[test]
    fn keys_are_unique_kebab_case_and_named_like_their_field() {
        let mut seen = std::collections::BTreeSet::new();
        for definition in CATALOG {
            assert!(
                seen.insert(definition.key),
                "{} is defined twice",
                definition.key
            );
            assert_eq!(definition.field.replace('_', "-"), definition.key);
            let kebab = |word: &str| {
                !word.is_empty()
                    && word
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            };
            assert!(definition.key.split('-').all(kebab), "{}", definition.key);
        }
    }

    #[test]
    fn defaults_parse_back_to_themselves() {
        for definition in CATALOG {
            let default = match definition.presence {
                Presence::Default(text) => Some(text),
                _ => None,
            };
            let others = [definition.with_sequence_key, definition.in_predict];
            for text in default.into_iter().chain(others.into_iter().flatten()) {
                assert_eq!(
                    definition.canonical(text).as_deref(),
                    Ok(text),
                    "{}",
                    definition.key
                );
            }
        }
    }

    #[test]
    fn texts_are_whole_sentences_whose_marks_are_closed() {
        for definition in CATALOG {
            let description = definition.description();
            assert!(!description.paragraphs.is_empty(), "{}", definition.key);
            for piece in description.paragraphs.iter().flatten() {
                if let Piece::Text(text) = piece {
                    assert!(
                        !text.contains(['`', '[', ']']),
                        "{}: {text}",
                        definition.key
                    );
                }
            }
            let text = definition.text.trim();
            assert!(text.ends_with('.'), "{}: {text}", definition.key);
        }
    }

    #[test]
    fn texts_do_not_restate_the_default_column() {
        for definition in CATALOG {
            // What stands in code is a key or a value, and no prose.
            let prose: Vec<&str> = definition.text.split('`').step_by(2).collect();
            let text = prose.concat().to_lowercase();
            for phrase in ["default", "by default", "if not set,"] {
                assert!(!text.contains(phrase), "{} says '{phrase}'", definition.key);
            }
        }
    }
}
