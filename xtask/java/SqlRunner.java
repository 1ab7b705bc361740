import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.api.config.TableConfigOptions;
import org.apache.flink.table.catalog.Catalog;
import org.apache.flink.table.catalog.GenericInMemoryCatalog;

/**
 * Runs the statements of an SQL file one after the other, as Flink's SQL client does, and tells
 * failures as that does: by their innermost cause.
 *
 * <p>The client itself does not start from the packages on PyPI, which lack a jar of it.
 */
public class SqlRunner {
    private static final String TEXT = "'((?:[^']|'')*)'";
    private static final Pattern SET =
            pattern("SET(?:\\s+(?:" + TEXT + "|([^\\s=']+))\\s*=\\s*(?:" + TEXT + "|(.*)))?");
    private static final Pattern RESET = pattern("RESET(?:\\s+(?:" + TEXT + "|([^\\s']+)))?");
    private static final Pattern MODIFIES =
            pattern("(?:INSERT|EXECUTE|UPDATE|DELETE|CREATE|REPLACE|COMPILE\\s+AND)\\b.*");
    private static final Pattern DEFINES =
            pattern("(?:CREATE|REPLACE|ALTER|DROP|USE|ADD|REMOVE|LOAD|UNLOAD)\\b.*");

    /** Defines something that this program alone knows, whatever catalog is in use. */
    private static final Pattern DEFINES_HERE =
            pattern(
                    "(?:USE|ADD|REMOVE|LOAD|UNLOAD|(?:CREATE|ALTER|DROP)\\s+"
                            + "(?:CATALOG|(?:OR\\s+REPLACE\\s+)?TEMPORARY))\\b.*");

    private static final Pattern ABOUT_JOBS =
            pattern("(?:SHOW\\s+JOBS|(?:DESCRIBE|DESC|STOP)\\s+JOB)\\b.*");

    /** Together less than the time after which this program is killed. */
    private static final long SECONDS_TO_BEGIN = 12;

    private static final long SECONDS_TO_CANCEL = 12;

    private static final String MODE = ExecutionOptions.RUNTIME_MODE.key();

    /** The jobs that were begun here. */
    private final List<JobClient> jobs = Collections.synchronizedList(new ArrayList<>());

    /** Whether a job was cancelled (or had ended before), for each that was to be. */
    private final Map<JobClient, CompletableFuture<Boolean>> cancelled = new ConcurrentHashMap<>();

    /** Held while a statement is begun, until its job is among the jobs. */
    private final ReentrantLock beginning = new ReentrantLock();

    /** Whether this program was told to end: nothing is begun any more. */
    private volatile boolean ended;

    /** What has been defined so far, for an environment in another mode. */
    private final List<String> definitions = new ArrayList<>();

    /** The first definition that must not be done, or would not be the same, a second time. */
    private String unrepeatable;

    private TableEnvironment environment = TableEnvironment.create(new Configuration());

    /** The mode that RESET goes back to. */
    private final RuntimeExecutionMode firstMode =
            environment.getConfig().get(ExecutionOptions.RUNTIME_MODE);

    private RuntimeExecutionMode mode = firstMode;

    /** Arguments: the file, and {@code --continue} to go on after a failure. */
    public static void main(String[] arguments) throws Exception {
        boolean goOn = List.of(arguments).contains("--continue");
        SqlRunner runner = new SqlRunner();
        Thread cancel = new Thread(runner::cancel, "cancel");
        Runtime.getRuntime().addShutdownHook(cancel);
        boolean failed = false;
        for (String statement : SqlStatements.in(Files.readString(Path.of(arguments[0])))) {
            if (runner.ended) {
                break;
            }
            try {
                runner.run(statement);
            } catch (Throwable error) {
                // Also an Error: past here it would end this program, and thereby every job.
                failed = true;
                System.out.println("[ERROR] Could not execute SQL statement. Reason:");
                System.out.println(innermost(error));
                if (!goOn) {
                    break;
                }
            }
        }
        try {
            Runtime.getRuntime().removeShutdownHook(cancel);
        } catch (IllegalStateException interrupted) {
            // Whoever ended this program wants its jobs to end, too.
            cancel.join();
        }
        if (failed) {
            System.exit(1);
        }
    }

    private void run(String statement) throws Exception {
        Matcher set = SET.matcher(statement);
        Matcher reset = RESET.matcher(statement);
        if (set.matches()) {
            set(set);
            return;
        }
        if (reset.matches()) {
            reset(first(reset, 1, 2));
            return;
        }
        if (ABOUT_JOBS.matcher(statement).matches()) {
            throw new ValidationException(
                    "only the SQL gateway of Flink runs statements about jobs: `cargo xtask flink"
                            + " jobs` lists them, and `cargo xtask flink cancel JOB` ends one");
        }
        boolean waits = environment.getConfig().get(TableConfigOptions.TABLE_DML_SYNC);
        TableResult result = begin(statement);
        if (result == null) {
            return;
        }
        JobClient job = result.getJobClient().orElse(null);
        if (job != null) {
            System.out.println("job " + job.getJobID());
        }
        if (DEFINES.matcher(statement).matches()) {
            remember(statement, job != null);
        }
        if (!MODIFIES.matcher(statement).matches()) {
            if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT) {
                result.print();
            }
        } else if (job != null && waits) {
            result.await();
            System.out.println("finished");
        } else if (job != null) {
            System.out.println(
                    "submitted, not waited for; SET 'table.dml-sync' = 'true' waits, and"
                            + " `cargo xtask flink jobs` tells what happened to it");
        }
    }

    /** Begins a statement, unless this program was told to end; then there is no result. */
    private TableResult begin(String statement) {
        beginning.lock();
        try {
            if (ended) {
                return null;
            }
            TableResult result = execute(statement);
            result.getJobClient().ifPresent(jobs::add);
            if (ended) {
                // Whoever cancels may have waited too long for this statement.
                result.getJobClient().ifPresent(this::cancel);
            }
            return result;
        } finally {
            beginning.unlock();
        }
    }

    /** Waiting for what a statement changes would keep its job from being known. */
    private TableResult execute(String statement) {
        Configuration configuration = environment.getConfig().getConfiguration();
        Map<String, String> before = configuration.toMap();
        String sync = TableConfigOptions.TABLE_DML_SYNC.key();
        configuration.set(TableConfigOptions.TABLE_DML_SYNC, false);
        try {
            return environment.executeSql(statement);
        } finally {
            configuration.removeKey(sync);
            if (before.containsKey(sync)) {
                configuration.setString(sync, before.get(sync));
            }
        }
    }

    private void set(Matcher set) {
        String key = first(set, 1, 2);
        if (key == null) {
            Map<String, String> all = environment.getConfig().getConfiguration().toMap();
            new TreeMap<>(all)
                    .forEach((name, value) -> System.out.printf("'%s' = '%s'%n", name, value));
            return;
        }
        environment.getConfig().set(key, first(set, 3, 4).trim());
        followMode();
    }

    private void reset(String key) {
        Configuration configuration = environment.getConfig().getConfiguration();
        List<String> keys = new ArrayList<>(configuration.toMap().keySet());
        for (String known : keys) {
            if (key == null || key.equals(known)) {
                configuration.removeKey(known);
            }
        }
        followMode();
    }

    /** An environment has its mode for ever, so another mode is another environment. */
    private void followMode() {
        Configuration configuration = environment.getConfig().getConfiguration();
        try {
            RuntimeExecutionMode wanted =
                    configuration.getOptional(ExecutionOptions.RUNTIME_MODE).orElse(firstMode);
            if (wanted != mode) {
                environment = inMode(wanted);
                mode = wanted;
            }
        } catch (RuntimeException error) {
            // The environment stays as it is, and what is set has to say so.
            configuration.set(ExecutionOptions.RUNTIME_MODE, mode);
            throw error;
        }
    }

    /** An environment with the same settings and definitions in another mode. */
    private TableEnvironment inMode(RuntimeExecutionMode wanted) {
        String refused = "'" + MODE + "' stays '" + mode + "' and does not become '" + wanted + "'";
        if (wanted == RuntimeExecutionMode.AUTOMATIC) {
            throw new ValidationException(refused + ": expected 'streaming' or 'batch'");
        }
        String advice = "; set the mode before that statement";
        if (unrepeatable != null) {
            throw new ValidationException(
                    refused + ": that would need another environment, in which this cannot be"
                            + " done a second time: " + head(unrepeatable) + advice);
        }
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance();
        boolean batch = wanted == RuntimeExecutionMode.BATCH;
        settings = batch ? settings.inBatchMode() : settings.inStreamingMode();
        TableEnvironment other = TableEnvironment.create(settings.build());
        Configuration configuration = environment.getConfig().getConfiguration();
        configuration.toMap().forEach(other.getConfig()::set);
        for (String definition : definitions) {
            try {
                other.executeSql(definition);
            } catch (RuntimeException error) {
                throw new ValidationException(
                        refused + ": doing this a second time failed: " + head(definition) + ": "
                                + innermost(error) + advice);
            }
        }
        return other;
    }

    /** Remembers a definition for an environment in another mode. */
    private void remember(String statement, boolean hasJob) {
        boolean isHere = DEFINES_HERE.matcher(statement).matches() || hasOnlyCatalogsInMemory();
        if (isHere && !hasJob) {
            definitions.add(statement);
        } else if (unrepeatable == null) {
            unrepeatable = statement;
        }
    }

    /** Otherwise a definition may be one in a catalog that others see, too. */
    private boolean hasOnlyCatalogsInMemory() {
        for (String name : environment.listCatalogs()) {
            Catalog catalog = environment.getCatalog(name).orElse(null);
            if (!(catalog instanceof GenericInMemoryCatalog)) {
                return false;
            }
        }
        return true;
    }

    /** The beginning of a statement, without its options, of which one may be secret. */
    private static String head(String statement) {
        return statement.split("[('\n]", 2)[0].trim();
    }

    /** Cancels what goes on, because this program was told to end. */
    private void cancel() {
        ended = true;
        new ArrayList<>(jobs).forEach(this::cancel);
        try {
            if (beginning.tryLock(SECONDS_TO_BEGIN, TimeUnit.SECONDS)) {
                new ArrayList<>(jobs).forEach(this::cancel);
            } else {
                System.out.println(
                        "a statement is still being begun; whether it has a job tells"
                                + " `cargo xtask flink jobs`");
            }
        } catch (InterruptedException error) {
            System.out.println("not waited for the statement that is being begun");
        }
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS_TO_CANCEL);
        cancelled.forEach(
                (job, outcome) -> {
                    try {
                        long left = Math.max(end - System.nanoTime(), 0);
                        if (outcome.get(left, TimeUnit.NANOSECONDS)) {
                            System.out.println("cancelled job " + job.getJobID());
                        }
                    } catch (Exception error) {
                        System.out.println(
                                "job " + job.getJobID() + " is not cancelled: " + error);
                    }
                });
    }

    /** Asks for the end of a job, once, and does not wait for it. */
    private void cancel(JobClient job) {
        cancelled.computeIfAbsent(
                job,
                any ->
                        CompletableFuture.completedFuture(job)
                                .thenCompose(JobClient::getJobStatus)
                                .thenCompose(
                                        status ->
                                                status.isGloballyTerminalState()
                                                        ? CompletableFuture.completedFuture(false)
                                                        : job.cancel().thenApply(done -> true)));
    }

    private static Throwable innermost(Throwable error) {
        return error.getCause() == null ? error : innermost(error.getCause());
    }

    private static Pattern pattern(String text) {
        return Pattern.compile(text, Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
    }

    /** The one of two groups that is there; a quote within a text is written twice. */
    private static String first(Matcher matcher, int quoted, int bare) {
        String text = matcher.group(quoted);
        return text == null ? matcher.group(bare) : text.replace("''", "'");
    }
}
