import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Cuts the text of an SQL file into its statements.
 *
 * <p>It needs nothing of Flink, so that a test can run it by itself.
 */
class SqlStatements {
    /** What may stand before a statement set, which holds statements of its own. */
    private static final String BEFORE_SET =
            "EXECUTE|EXPLAIN[\\w\\s,]*|COMPILE\\s+(?:AND\\s+EXECUTE\\s+)?PLAN\\s*'(?:[^']|'')*'.*?FOR";

    private static final Pattern BEGINS_SET =
            pattern(
                    "(?:((?:" + BEFORE_SET + ")\\s+STATEMENT\\s+SET\\s+BEGIN)"
                            + "|BEGIN\\s+STATEMENT\\s+SET)\\b(.*)");
    private static final Pattern ENDS_SET = pattern("END");

    private SqlStatements() {}

    /** Prints each statement of a file, for tests. */
    public static void main(String[] arguments) throws Exception {
        for (String statement : in(Files.readString(Path.of(arguments[0])))) {
            System.out.println(statement + "\n----");
        }
    }

    /** The statements without their comments; quotes may hold semicolons and dashes. */
    static List<String> in(String text) {
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
                String head = begins.group(1);
                set = new StringBuilder(head == null ? "EXECUTE STATEMENT SET BEGIN" : head);
                set.append('\n');
                part = begins.group(2).trim();
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

    private static Pattern pattern(String text) {
        return Pattern.compile(text, Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
    }
}
