import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs the statements of an SQL file one after the other, as Flink's SQL client does.
 *
 * <p>The client itself does not start from the packages on PyPI, which lack a jar of it.
 */
public class SqlRunner {
    private static final Pattern SET =
            Pattern.compile("SET\\s+'([^']+)'\\s*=\\s*'([^']*)'", Pattern.CASE_INSENSITIVE);

    public static void main(String[] arguments) throws Exception {
        TableEnvironment environment = TableEnvironment.create(new org.apache.flink.configuration.Configuration());
        for (String statement : statements(Files.readString(Path.of(arguments[0])))) {
            Matcher set = SET.matcher(statement);
            if (set.matches()) {
                environment.getConfig().set(set.group(1), set.group(2));
                continue;
            }
            TableResult result = environment.executeSql(statement);
            if (result.getJobClient().isPresent()) {
                System.out.println("job " + result.getJobClient().get().getJobID());
            }
            if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT) {
                result.print();
                if (result.getJobClient().isPresent()) {
                    result.getJobClient().get().getJobExecutionResult().get();
                }
            }
        }
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
