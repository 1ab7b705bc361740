import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
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
import org.apache.flink.table.api.config.TableConfigOptions;

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
    private static final Pattern BEGINS_SET =
            pattern("(?:EXECUTE\\s+STATEMENT\\s+SET\\s+BEGIN|BEGIN\\s+STATEMENT\\s+SET)\\b(.*)");
    private static final Pattern ENDS_SET = pattern("END");
    private static final Pattern MODIFIES =
            pattern("(?:INSERT|EXECUTE|UPDATE|DELETE|CREATE|REPLACE)\\b.*");
    private static final Pattern DEFINES =
            pattern("(?:CREATE|ALTER|DROP|USE|ADD|REMOVE|LOAD|UNLOAD)\\b.*");

    /** What a job that was begun here is cancelled by. */
    private final List<JobClient> jobs = Collections.synchronizedList(new ArrayList<>());

    /** What has been defined so far, for an environment in another mode. */
    private final List<String> definitions = new ArrayList<>();

    private TableEnvironment environment = TableEnvironment.create(new Configuration());

    /** Arguments: the file, and {@code --continue} to go on after a failure. */
    public static void main(String[] arguments) throws Exception {
        boolean goOn = List.of(arguments).contains("--continue");
        SqlRunner runner = new SqlRunner();
        Thread cancel = new Thread(runner::cancel, "cancel");
        Runtime.getRuntime().addShutdownHook(cancel);
        boolean failed = false;
        for (String statement : statements(Files.readString(Path.of(arguments[0])))) {
            try {
                runner.run(statement);
            } catch (Exception error) {
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
        boolean waits = environment.getConfig().get(TableConfigOptions.TABLE_DML_SYNC);
        TableResult result = execute(statement);
        JobClient job = result.getJobClient().orElse(null);
        if (job != null) {
            jobs.add(job);
            System.out.println("job " + job.getJobID());
        } else if (DEFINES.matcher(statement).matches()) {
            definitions.add(statement);
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

    /** Begins a statement; waiting for what it changes would keep its job from being known. */
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
        followMode(key);
    }

    private void reset(String key) {
        Configuration configuration = environment.getConfig().getConfiguration();
        List<String> keys = new ArrayList<>(configuration.toMap().keySet());
        for (String known : keys) {
            if (key == null || key.equals(known)) {
                configuration.removeKey(known);
            }
        }
        followMode(key == null ? ExecutionOptions.RUNTIME_MODE.key() : key);
    }

    /** An environment has its mode for ever, so another mode is another environment. */
    private void followMode(String key) {
        if (!key.equals(ExecutionOptions.RUNTIME_MODE.key())) {
            return;
        }
        Configuration configuration = environment.getConfig().getConfiguration();
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance();
        boolean batch =
                configuration.get(ExecutionOptions.RUNTIME_MODE) == RuntimeExecutionMode.BATCH;
        settings = batch ? settings.inBatchMode() : settings.inStreamingMode();
        TableEnvironment other = TableEnvironment.create(settings.build());
        configuration.toMap().forEach(other.getConfig()::set);
        definitions.forEach(other::executeSql);
        environment = other;
    }

    /** Cancels what goes on, because this program was told to end. */
    private void cancel() {
        for (JobClient job : new ArrayList<>(jobs)) {
            try {
                if (!job.getJobStatus().get(5, TimeUnit.SECONDS).isGloballyTerminalState()) {
                    job.cancel().get(10, TimeUnit.SECONDS);
                    System.out.println("cancelled job " + job.getJobID());
                }
            } catch (Exception error) {
                System.out.println("job " + job.getJobID() + " is not cancelled: " + error);
            }
        }
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

    /** The statements without their comments; quotes may hold semicolons and dashes. */
    private static List<String> statements(String text) {
        List<String> statements = new ArrayList<>();
        StringBuilder statement = new StringBuilder();
        for (int index = 0; index < text.length(); index++) {
            char character = text.charAt(index);
            if (text.startsWith("--", index)) {
                int end = text.indexOf('\n', index);
                index = end < 0 ? text.length() : end;
                statement.append('\n');
            } else if (text.startsWith("/*", index) && !text.startsWith("/*+", index)) {
                int end = text.indexOf("*/", index);
                index = end < 0 ? text.length() : end + 1;
                statement.append(' ');
            } else if (character == '\'' || character == '`') {
                int end = text.indexOf(character, index + 1);
                end = end < 0 ? text.length() - 1 : end;
                statement.append(text, index, end + 1);
                index = end;
            } else if (character == ';') {
                add(statements, statement);
            } else {
                statement.append(character);
            }
        }
        add(statements, statement);
        return whole(statements);
    }

    private static void add(List<String> statements, StringBuilder statement) {
        String trimmed = statement.toString().trim();
        if (!trimmed.isEmpty()) {
            statements.add(trimmed);
        }
        statement.setLength(0);
    }

    /** Puts the statements of a statement set together again. */
    private static List<String> whole(List<String> parts) {
        List<String> statements = new ArrayList<>();
        StringBuilder set = null;
        for (String part : parts) {
            Matcher begins = BEGINS_SET.matcher(part);
            if (set == null && begins.matches()) {
                set = new StringBuilder("EXECUTE STATEMENT SET BEGIN\n");
                part = begins.group(1).trim();
            }
            if (set == null) {
                statements.add(part);
            } else if (ENDS_SET.matcher(part).matches()) {
                statements.add(set.append("END").toString());
                set = null;
            } else if (!part.isEmpty()) {
                set.append(part).append(";\n");
            }
        }
        if (set != null) {
            statements.add(set.toString());
        }
        return statements;
    }
}
