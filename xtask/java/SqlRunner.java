import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs the statements of an SQL file one after the other, as Flink's SQL client does, and tells
 * failures as that does: by their innermost cause.
 *
 * <p>The client itself does not start from the packages on PyPI, which lack a jar of it.
 */
public class SqlRunner {
    private static final Pattern SET =
            Pattern.compile("SET\\s+'([^']+)'\\s*=\\s*'([^']*)'", Pattern.CASE_INSENSITIVE);

    private final TableEnvironment environment = TableEnvironment.create(new Configuration());

    /** Arguments: the file, and {@code --continue} to go on after a failure. */
    public static void main(String[] arguments) throws Exception {
        boolean goOn = List.of(arguments).contains("--continue");
        SqlRunner runner = new SqlRunner();
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
        if (failed) {
            System.exit(1);
        }
    }

    private void run(String statement) throws Exception {
        Matcher set = SET.matcher(statement);
        if (set.matches()) {
            environment.getConfig().set(set.group(1), set.group(2));
            return;
        }
        TableResult result = environment.executeSql(statement);
        if (result.getJobClient().isPresent()) {
            System.out.println("job " + result.getJobClient().get().getJobID());
        }
        // What inserts goes on in the background, unless 'table.dml-sync' says otherwise.
        if (statement.regionMatches(true, 0, "SELECT", 0, 6)
                || statement.regionMatches(true, 0, "EXPLAIN", 0, 7)) {
            result.print();
        }
    }

    private static Throwable innermost(Throwable error) {
        return error.getCause() == null ? error : innermost(error.getCause());
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
        return statements;
    }

    private static void add(List<String> statements, StringBuilder statement) {
        String trimmed = statement.toString().trim();
        if (!trimmed.isEmpty()) {
            statements.add(trimmed);
        }
        statement.setLength(0);
    }
}
